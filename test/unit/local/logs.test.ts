import { appendFileSync, mkdtempSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Followed } from '../../../src/local/commands/logs.ts';

/** A log, who follows it, and what that one has printed. */
function following(text: string | null): { path: string; followed: Followed; printed: () => string } {
  const home = mkdtempSync(join(tmpdir(), 'logs-'));
  const path = join(home, 'compute_ctl.log');
  if (text !== null) writeFileSync(path, text);
  const parts: Buffer[] = [];
  const followed = new Followed(path, { write: (bytes) => void parts.push(bytes), end: () => {} });
  onTestFinished(() => {
    followed.close();
    rmSync(home, { recursive: true });
  });
  return { path, followed, printed: () => Buffer.concat(parts).toString() };
}

test('the last lines are printed, and what is added', () => {
  const { path, followed, printed } = following('one\ntwo\nthree\n');
  followed.begin(2);
  expect(printed()).toBe('two\nthree\n');
  appendFileSync(path, 'four');
  followed.look();
  followed.look();
  expect(printed()).toBe('two\nthree\nfour');
});

test('a log with fewer lines, or without one at its end, is printed whole', () => {
  for (const text of ['one\ntwo\n', 'one\ntwo', '', '\n']) {
    const { followed, printed } = following(text);
    followed.begin(2);
    expect(printed()).toBe(text);
  }
});

test('a log that gets another name is printed to its end, and then the new one, however large that is', () => {
  const { path, followed, printed } = following('one\n');
  followed.begin(10);
  appendFileSync(path, 'two\n');
  renameSync(path, `${path}.1`);
  appendFileSync(`${path}.1`, 'three\n');
  writeFileSync(path, 'the new one is larger than the former one\n');
  followed.look();
  expect(printed()).toBe('one\ntwo\nthree\nthe new one is larger than the former one\n');
});

test('one that is emptied begins anew, and one that is not there yet is waited for', () => {
  const emptied = following('one\ntwo\n');
  emptied.followed.begin(10);
  truncateSync(emptied.path);
  emptied.followed.look();
  appendFileSync(emptied.path, 'new\n');
  emptied.followed.look();
  expect(emptied.printed()).toBe('one\ntwo\nnew\n');
  const later = following(null);
  later.followed.begin(10);
  later.followed.look();
  writeFileSync(later.path, 'first\n');
  later.followed.look();
  expect(later.printed()).toBe('first\n');
});
