import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { withLine } from '../../../src/postgres/ensure-line.ts';
import { ensureHbaLine } from '../../../src/postgres/files.ts';

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

test('the md5 line of pg_hba.conf is not doubled by other blanks', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'ensure-line-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const hba = join(dir, 'pg_hba.conf');
  writeFileSync(hba, 'local all all trust\nhost all all  all md5 \n');
  expect(await ensureHbaLine(dir)).toBe(false);
  writeFileSync(hba, 'local all all trust\n');
  expect(await ensureHbaLine(dir)).toBe(true);
  expect(await ensureHbaLine(dir)).toBe(false);
  expect(readFileSync(hba, 'utf8')).toBe('local all all trust\n\nhost\tall\t\tall\t\tall\t\tmd5');
});
