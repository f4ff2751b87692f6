import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { computeLocal } from '../../src/config/options/compute-local.ts';
import type { CommandEntry } from '../../src/config/options/entry.ts';
import { errorCodes } from '../../src/core/errors.ts';
import { startProgram } from '../support/program.ts';
import { scratchDir } from '../support/scratch.ts';

// Every command of compute-local, as the table of options has them: a new one is here by itself.

const commands: Record<string, CommandEntry> = computeLocal.commands;

/** Commands without --json, and why. */
const without: Readonly<Record<string, string>> = {
  psql: 'passes its options to psql',
  completion: 'prints what a shell reads',
  man: 'prints what man reads',
  next: 'not for people: `up` reads its lines of JSON',
  storage: 'not for people: `up` reads its lines of JSON',
};

const withJson = Object.keys(commands).filter((name) => 'json' in (commands[name]?.options ?? {}));

/** One word for each argument that a command has to have. */
const argumentsOf = (name: string): string[] =>
  (commands[name]?.args?.split(' ') ?? []).filter((one) => one.startsWith('<')).map((_, i) => `name${i}`);

let scratch: string;
beforeAll(() => {
  scratch = scratchDir('json-commands');
  mkdirSync(scratch, { recursive: true });
  chmodSync(scratch, 0o755);
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

async function run(...args: string[]) {
  const program = startProgram('compute-local', args);
  try {
    const status = await program.exited();
    const lines = program
      .stdout()
      .split('\n')
      .filter((line) => line !== '');
    return { status, lines, stderr: program.stderr() };
  } finally {
    program.kill('SIGKILL');
  }
}

interface Failed {
  readonly error: { readonly code: keyof typeof errorCodes; readonly message: string; readonly hint: string };
}

const failed = (lines: readonly string[]): Failed['error'] =>
  (JSON.parse(lines.at(-1) ?? '') as Failed).error;

test('every command of compute-local has --json, but for those that are not for it', () => {
  const missing = Object.keys(commands).filter((name) => !withJson.includes(name));
  expect(missing.toSorted()).toEqual(Object.keys(without).toSorted());
});

describe.each(withJson)('compute-local %s --json', (name) => {
  test('says in one object why it failed, and what people read on stderr', async () => {
    const file = join(scratch, 'file');
    writeFileSync(file, 'somebody else has written this\n', { mode: 0o644 });
    const { status, lines, stderr } = await run(name, ...argumentsOf(name), '--dir', file, '--json');
    const { code, message, hint } = failed(lines);
    expect({ name, lines: lines.length, exit: status }).toEqual({
      name,
      lines: 1,
      exit: errorCodes[code].exit,
    });
    expect(message).toContain(file);
    expect(hint).not.toBe('');
    expect(stderr).toContain(`Code: ${code}`);
  });

  test('says in one object that it was called wrongly', async () => {
    const { status, lines, stderr } = await run(name, '--json', '--nonsense');
    expect([status, lines.length, failed(lines)]).toEqual([
      2,
      1,
      { code: 'usage', message: "unknown option '--nonsense'", hint: expect.any(String) as string },
    ]);
    expect(stderr).toContain("Error: unknown option '--nonsense'");
  });
});
