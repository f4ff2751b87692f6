import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { mistakes } from './troubleshooting/index.ts';
import type { Mistake } from './troubleshooting/mistake.ts';
import { render, section, sectionIn } from './troubleshooting/page.ts';
import { Scene, endShared } from './troubleshooting/scene.ts';

// Makes every mistake of docs/troubleshooting.md with the real programs, and compares what is seen with the page.
// `npm run docs:troubleshooting` writes the page instead.

const file = new URL('../../docs/troubleshooting.md', import.meta.url);
const page = existsSync(file) ? readFileSync(file, 'utf8') : '';
const isWriting = process.env['WRITE_TROUBLESHOOTING'] === '1';
const fresh = new Map<Mistake, string>();

const possible = mistakes.filter((mistake) => mistake.possible !== false);

async function seenOf(mistake: Mistake): Promise<string> {
  const scene = new Scene();
  try {
    return section(mistake, await mistake.provoke(scene));
  } finally {
    await scene.end();
  }
}

describe.each(possible)('$title', (mistake) => {
  test('is seen as docs/troubleshooting.md says', async () => {
    const seen = await seenOf(mistake);
    fresh.set(mistake, seen);
    expect(seen).toBe(isWriting ? seen : sectionIn(page, mistake.title));
  });

  test.runIf(mistake.code !== null && mistake.code !== 'usage' && mistake.showsCode !== false)(
    'has the code of its section',
    () => {
      const seen = fresh.get(mistake) ?? '';
      expect(seen).toMatch(
        new RegExp(`Code: ${mistake.code}\\b|error_code=${mistake.code}\\b|"${mistake.code}"`),
      );
    },
  );
});

/** What cannot be provoked here stays as it is. */
const sectionOf = (mistake: Mistake): string => fresh.get(mistake) ?? sectionIn(page, mistake.title) ?? '';

afterAll(async () => {
  await endShared();
  if (isWriting) writeFileSync(file, render(mistakes, sectionOf));
});

test.runIf(!isWriting)(
  'docs/troubleshooting.md has a section for each mistake, in the order of the codes, and nothing else',
  () => {
    expect(new Set(mistakes.map(({ title }) => title)).size).toBe(mistakes.length);
    expect(page).toBe(render(mistakes, (mistake) => sectionIn(page, mistake.title) ?? ''));
  },
);
