import { execFile, execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readInput } from '../../../src/config/read-input.ts';
import { eventually } from '../../support/program.ts';
import { scratchDir } from '../../support/scratch.ts';

const limits = { maxBytes: 1000, limitMs: 30_000, once: 'all' as const };
const brief = { ...limits, limitMs: 100 };
const never = new AbortController().signal;

function pipe(): string {
  const path = join(scratchDir('input'), 'pipe');
  execFileSync('mkfifo', [path]);
  return path;
}

test('a file is read anew each time', async () => {
  const path = join(scratchDir('input'), 'file');
  for (const text of ['', 'one', 'the second']) {
    writeFileSync(path, text);
    expect((await readInput(path, limits, never)).reveal()).toBe(text);
  }
});

test('a pipe is read when its writer comes late, and returned again', async () => {
  const path = pipe();
  const reading = readInput(path, limits, never);
  execFile('sh', ['-c', 'printf first > "$0"', path]);
  expect((await reading).reveal()).toBe('first');
  expect((await readInput(path, limits, never)).reveal()).toBe('first');
});

test('a pipe with a name is read anew where it may be filled again', async () => {
  const path = pipe();
  const again = { ...limits, once: 'given' as const };
  for (const text of ['first', 'second']) {
    const reading = readInput(path, again, never);
    execFile('sh', ['-c', `printf ${text} > "$0"`, path]);
    expect((await reading).reveal()).toBe(text);
  }
});

test('a pipe that nobody writes to, and one that does not end, are given up after the limit', async () => {
  await expect(readInput(pipe(), brief, never)).rejects.toMatchObject({ code: 'deadline' });
  const path = pipe();
  const writer = execFile('sh', ['-c', 'exec 3> "$0"; echo some >&3; exec sleep 600', path]);
  try {
    await expect(readInput(path, brief, never)).rejects.toMatchObject({ code: 'deadline' });
  } finally {
    writer.kill();
  }
});

test('waiting for a pipe ends with the signal', async () => {
  const abort = new AbortController();
  const reading = readInput(pipe(), limits, abort.signal);
  abort.abort();
  await expect(reading).rejects.toMatchObject({ name: 'AbortError' });
});

test('a file, a pipe or a device of more bytes than allowed is refused', async () => {
  const path = join(scratchDir('input'), 'file');
  writeFileSync(path, 'x'.repeat(1001));
  await expect(readInput(path, limits, never)).rejects.toThrow('it is longer than 1000 bytes');
  await expect(readInput('/dev/zero', limits, never)).rejects.toThrow('it is longer than 1000 bytes');
});

test('a device that is empty is empty at once; a directory and a missing file are errors of the system', async () => {
  expect((await readInput('/dev/null', limits, never)).reveal()).toBe('');
  await expect(readInput(scratchDir('input'), limits, never)).rejects.toMatchObject({ code: 'EISDIR' });
  await expect(readInput(join(scratchDir('input'), 'none'), limits, never)).rejects.toMatchObject({
    code: 'ENOENT',
  });
});

test('waiting for pipes holds no thread, so files are read meanwhile', async () => {
  const abort = new AbortController();
  const waiting = Array.from({ length: 20 }, () => readInput(pipe(), limits, abort.signal).catch(() => null));
  const path = join(scratchDir('input'), 'file');
  writeFileSync(path, 'read');
  await eventually('the file', async () => (await readInput(path, limits, never)).reveal() || undefined);
  abort.abort();
  await Promise.all(waiting);
});
