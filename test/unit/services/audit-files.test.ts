import { execFileSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  fstatSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type AuditFiles, cleanAuditFiles } from '../../../src/services/audit-files.ts';
import { type Positions, fileKey } from '../../../src/services/rsyslog/positions.ts';
import { scratchDir } from '../../support/scratch.ts';

let home: string;
let log: string;

beforeEach(() => {
  home = scratchDir('audit');
  log = join(home, 'log');
  mkdirSync(log);
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const minutes = 60;

/** @param age in seconds */
function put(name: string, bytes: number, age: number): string {
  const path = join(log, name);
  writeFileSync(path, 'x'.repeat(bytes));
  old(path, age);
  return path;
}

function old(path: string, age: number): void {
  const at = Date.now() / 1000 - age;
  utimesSync(path, at, at);
}

const clean = (positions: Positions | null = null, bytes = 1_000_000): Promise<AuditFiles> =>
  cleanAuditFiles(log, { idleMs: 15 * minutes * 1000, bytes }, positions);

const readTo = (...paths: readonly (readonly [string, number])[]): Positions =>
  new Map(paths.map(([path, position]) => [fileKey(statSync(path)), position]));

test('old audit files go, and nothing else', async () => {
  mkdirSync(join(log, 'below'));
  put('audit-1.log', 10, 16 * minutes);
  put('below/audit-2.log', 10, 16 * minutes);
  put('audit-3.log', 10, 14 * minutes);
  put('postgresql.log', 5, 60 * minutes);
  put('audit-4.csv', 10, 60 * minutes);
  put('my-audit-5.log', 3, 60 * minutes);
  mkdirSync(join(log, 'audit-dir.log'));
  const found = await clean();
  expect(found).toMatchObject({ logBytes: 18, unread: [], lostBytes: 0 });
  expect(readdirSync(log).toSorted()).toEqual(
    ['audit-3.log', 'audit-4.csv', 'audit-dir.log', 'below', 'my-audit-5.log', 'postgresql.log'].toSorted(),
  );
  expect(readdirSync(join(log, 'below'))).toEqual([]);
});

test('an old file that rsyslogd has not read stays, and is counted', async () => {
  const read = put('audit-1.log', 10, 16 * minutes);
  const half = put('audit-2.log', 10, 16 * minutes);
  put('audit-3.log', 10, 16 * minutes);
  const found = await clean(readTo([read, 10], [half, 4]));
  expect(found.unread.map(({ name, position, bytes }) => [name, position, bytes])).toEqual([
    ['audit-2.log', 4, 6],
    ['audit-3.log', null, 10],
  ]);
  expect(existsSync(read)).toBe(false);
});

test('below the directory only the age counts, since rsyslogd does not read there', async () => {
  mkdirSync(join(log, 'below/deeper'), { recursive: true });
  const old = put('below/deeper/audit-1.log', 10, 16 * minutes);
  const young = put('below/deeper/audit-2.log', 10, 14 * minutes);
  expect(await clean(new Map())).toMatchObject({ unread: [], lostBytes: 0 });
  expect([old, young].map((path) => existsSync(path))).toEqual([false, true]);
});

test('above the limit the oldest go, and what was not read of them is lost', async () => {
  const first = put('audit-1.log', 100, 30);
  const second = put('audit-2.log', 100, 20);
  const third = put('audit-3.log', 100, 10);
  const found = await clean(readTo([first, 70], [second, 100]), 150);
  expect(found).toMatchObject({ logBytes: 100, lostBytes: 30 });
  expect([first, second, third].map((path) => existsSync(path))).toEqual([false, false, true]);
});

test('the file that is being written is emptied, not removed', async () => {
  const path = put('audit-1.log', 100, 1);
  const { ino } = statSync(path);
  expect(await clean(new Map(), 50)).toMatchObject({ logBytes: 0, lostBytes: 100 });
  expect(statSync(path)).toMatchObject({ ino, size: 0 });
});

test('what a process still has open takes no space either', async () => {
  const fd = openSync(put('audit-1.log', 100, 16 * minutes), 'r');
  await clean();
  expect(fstatSync(fd).size).toBe(0);
  closeSync(fd);
});

test('links and fifos are not followed, and a file with another name keeps its content', async () => {
  const outside = join(home, 'PG_VERSION');
  writeFileSync(outside, '15');
  old(outside, 60 * minutes);
  mkdirSync(join(home, 'elsewhere'));
  writeFileSync(join(home, 'elsewhere/audit-9.log'), 'kept');
  old(join(home, 'elsewhere/audit-9.log'), 60 * minutes);
  symlinkSync(outside, join(log, 'audit-link.log'));
  symlinkSync(join(home, 'elsewhere'), join(log, 'dir'));
  linkSync(outside, join(log, 'audit-hard.log'));
  execFileSync('mkfifo', [join(log, 'audit-fifo.log')]);
  old(join(log, 'audit-fifo.log'), 60 * minutes);
  await clean(null, 0);
  expect(readFileSync(outside, 'utf8')).toBe('15');
  expect(readFileSync(join(home, 'elsewhere/audit-9.log'), 'utf8')).toBe('kept');
  expect(readdirSync(log).toSorted()).toEqual(['audit-fifo.log', 'audit-link.log', 'dir']);
});

test('a directory that is a link is refused, one that is missing has nothing', async () => {
  rmSync(log, { recursive: true });
  expect(await clean()).toEqual({ logBytes: 0, writtenMs: 0, unread: [], lostBytes: 0 });
  symlinkSync(home, log);
  await expect(clean()).rejects.toThrow();
});
