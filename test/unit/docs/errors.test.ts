import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type ErrorCode, errorCodes, isErrorCode } from '../../../src/core/errors.ts';

const read = (path: string): string => readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8');

const runbook = read('docs/reference/errors.md');
const page = read('docs/troubleshooting.md');
/** Fails to compile without an entry for each code, and compares the code with that of a real failure. */
const provoking = read('test/e2e/error-codes.test.ts');

describe.each(Object.keys(errorCodes) as ErrorCode[])('the error code %s', (code) => {
  const { doc, act } = errorCodes[code];

  test('has a line in the runbook that says what failed and what to do', () => {
    for (const text of [doc, act]) expect(text).toMatch(/^[A-Z].{15,}\.$/);
    const [line = ''] = runbook.split('\n').filter((one) => one.startsWith(`| \`${code}\` |`));
    expect(line.endsWith(`| ${doc.replaceAll('|', String.raw`\|`)} | ${act} |`)).toBe(true);
  });

  test('is produced by a test, with real parts', () => {
    const [, table = ''] =
      /const provoked: Readonly<Record<ErrorCode, .*?> = \{\n(.*?)\n\};/s.exec(provoking) ?? [];
    expect(table).toMatch(new RegExp(`^  ${code}: `, 'm'));
  });
});

test('the page of mistakes has at least 40 of them, below codes that exist, with what the runbook says', () => {
  expect(page.match(/^### /gm)?.length).toBeGreaterThanOrEqual(40);
  const names = page
    .split(/^## /m)
    .slice(1)
    .map((section) => section.split('\n')[0] ?? '');
  const codes = names.filter(isErrorCode);
  expect(names.filter((name) => !isErrorCode(name))).toEqual(['Without a code']);
  for (const code of codes)
    expect(page).toContain(`## ${code}\n\n${errorCodes[code].doc} **${errorCodes[code].act}**\n`);
});

test('no message on the page shows a stack, a path of a process or words of the runtime only', () => {
  const seen = page.match(/^```\n.*?^```$/gms)?.join('\n') ?? '';
  expect(seen).not.toMatch(/^\s+at .*:\d+:\d+/m);
  expect(seen).not.toMatch(/\/proc\/self\/|\[object |undefined|node:internal|found nothing/);
  expect(seen).not.toMatch(/\bE(?!RROR:)[A-Z]{3,}: |connect E[A-Z]+|getaddrinfo|JSON input/);
});

test('each failure on the page says what to do, once', () => {
  const blocks = page.match(/^### .*?^```\n.*?^```$/gms) ?? [];
  const failures = blocks.filter((block) => /^(?:Error|Code): /m.test(block) && !/check finds/.test(block));
  expect(failures.length).toBeGreaterThanOrEqual(40);
  for (const block of failures) {
    const hints = block.match(/^Hint: .*$/gm) ?? [];
    expect([block.split('\n')[0], hints.length > 0, new Set(hints).size]).toEqual([
      block.split('\n')[0],
      true,
      hints.length,
    ]);
  }
});
