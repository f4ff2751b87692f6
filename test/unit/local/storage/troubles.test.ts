import { pino } from 'pino';
import { expect, test } from 'vitest';
import { ComputeError } from '../../../../src/core/errors.ts';
import { kindOf, troubleKinds } from '../../../../src/local/storage/trouble-kinds.ts';
import { type TroubleNews, Troubles } from '../../../../src/local/storage/troubles.ts';

function troubles(): { it: Troubles; lines: string[]; told: TroubleNews[]; pass: (ms: number) => void } {
  const lines: string[] = [];
  const told: TroubleNews[] = [];
  let nowMs = 1000;
  const log = pino({ level: 'debug' }, { write: (line: string) => void lines.push(line) });
  const it = new Troubles({ log, tell: (news) => void told.push(news), nowMs: () => nowMs });
  return { it, lines, told, pass: (ms) => void (nowMs += ms) };
}

test('what fails ten times a second for three minutes is logged three times, and its end once', () => {
  const { it, lines, told, pass } = troubles();
  for (let at = 0; at < 1800; at++) {
    it.failed('receiver', 'disk_full', 'no space');
    pass(100);
  }
  expect(lines).toHaveLength(3);
  it.works('receiver');
  it.works('receiver');
  expect(lines).toHaveLength(4);
  expect(told.map(({ event }) => event)).toEqual(['trouble', 'trouble', 'trouble', 'trouble-over']);
  expect(told.at(-1)?.text).toBe('the storage receives WAL again, and commits return, after 3 min');
  expect(it.list()).toEqual([]);
});

test('what comes and goes several times a second is not logged more often than what stays', () => {
  const { it, lines, pass } = troubles();
  for (let at = 0; at < 600; at++) {
    it.failed('receiver', 'other', 'killed');
    pass(100);
    it.works('receiver');
    pass(100);
  }
  // Two minutes: two beginnings, each with its end.
  expect(lines).toHaveLength(4);
});

test('another reason is told at once, also in the minute of the first one', () => {
  const { it, told } = troubles();
  it.failed('receiver', 'other', 'first');
  it.failed('receiver', 'disk_full', 'second');
  it.failed('receiver', 'other', 'third');
  expect(told).toHaveLength(2);
  expect(it.of('receiver')).toMatchObject({ kind: 'other', reason: 'third', failures: 3 });
  expect(it.of('base')).toBeNull();
});

const system = (code: string): Error => Object.assign(new Error(code), { code, syscall: 'write' });

test.each([
  [system('ENOSPC'), 'disk_full'],
  [new ComputeError('local_storage', 'pg_basebackup failed', { cause: system('ENOSPC') }), 'disk_full'],
  [system('EDQUOT'), 'quota'],
  [system('EROFS'), 'read_only'],
  [system('EACCES'), 'permission'],
  [system('EIO'), 'io_error'],
  [system('EFBIG'), 'file_limit'],
  [new Error('anything'), 'other'],
  [
    'could not write 8192 bytes to WAL file "000000010000000000000003.partial": No space left on device',
    'disk_full',
  ],
  ['could not fsync file "x": Input/output error', 'io_error'],
  ['could not open write-ahead log file "x": Read-only file system', 'read_only'],
  ['could not open directory "x": Permission denied', 'permission'],
  ['could not write: Disk quota exceeded', 'quota'],
  ['ERROR:  requested WAL segment 000000010000000000000003 has already been removed', 'wal_removed'],
  ['ERROR:  can no longer get changes from replication slot "compute_local"', 'wal_removed'],
  ['ERROR:  can no longer access replication slot "compute_local"', 'wal_removed'],
] as const)('%s means %s', (error, kind) => {
  expect(kindOf(error)).toBe(kind);
});

test('every kind says in fixed words what is wrong, and what to do', () => {
  for (const { words, act } of Object.values(troubleKinds)) {
    expect(words).toMatch(/^[a-z][a-z ,-]+$/i);
    expect(act).toMatch(/^[A-Z].*[.;]$/s);
  }
});
