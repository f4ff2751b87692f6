import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ensureHbaLine } from '../../../src/postgres/files.ts';
import { withLine, writeAtomically } from '../../../src/process/write.ts';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'compute-ctl-write-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

test.each([
  ['a\nb', 'b', null],
  ['a\nb', 'c', 'a\nb\nc'],
  ['a\nb\n', 'c', 'a\nb\n\nc'],
  ['a\r\nb', 'a', null],
  [null, 'c', 'c'],
  ['', 'c', 'c'],
])('the text %j with the line %j made sure of is %j', (before, line, after) => {
  expect(withLine(before, line)).toBe(after);
});

test('an atomic write leaves the new file with its mode and nothing else', async () => {
  const path = join(dir, 'server.key');
  writeFileSync(path, 'old', { mode: 0o644 });
  await writeAtomically(path, 'new', { runAs: null, mode: 0o600, fsync: true });
  expect(readFileSync(path, 'utf8')).toBe('new');
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(dir)).toEqual(['server.key']);
});

test('a write that cannot be put in place leaves no file behind', async () => {
  const path = join(dir, 'taken');
  await expect(writeAtomically(join(path, 'x'), 'new', { runAs: null })).rejects.toThrow('ENOENT');
  expect(readdirSync(dir)).toEqual([]);
});

test('the md5 line of pg_hba.conf is not doubled by other blanks', async () => {
  const hba = join(dir, 'pg_hba.conf');
  writeFileSync(hba, 'local all all trust\nhost all all  all md5 \n');
  expect(await ensureHbaLine(dir, null)).toBe(false);
  writeFileSync(hba, 'local all all trust\n');
  expect(await ensureHbaLine(dir, null)).toBe(true);
  expect(await ensureHbaLine(dir, null)).toBe(false);
  expect(readFileSync(hba, 'utf8')).toBe('local all all trust\n\nhost\tall\t\tall\t\tall\t\tmd5');
});
