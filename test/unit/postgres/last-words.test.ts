import { expect, test } from 'vitest';
import { ServerLog } from '../../../src/postgres/last-words.ts';

function last(
  lines: readonly string[],
  prefix: string | null = null,
  run: 'starting' | 'serving' = 'starting',
) {
  const log = new ServerLog(prefix);
  for (const line of lines) log.add(line);
  return log.last(run);
}

const at = '2026-11-27 20:00:00.000 UTC';

test('a setting that does not exist is named, though the FATAL line does not name it', () => {
  const words = last([
    `${at} [1] LOG:  unrecognized configuration parameter "no_such" in file "/d/postgresql.conf" line 3`,
    `${at} [1] FATAL:  configuration file "/d/postgresql.conf" contains errors`,
  ]);
  expect(words?.message).toBe(
    'PostgreSQL: FATAL: configuration file "/d/postgresql.conf" contains errors, after LOG: unrecognized configuration parameter "no_such" in file "/d/postgresql.conf" line 3',
  );
});

test('DETAIL and HINT stay with their message, statements are left out', () => {
  const words = last([
    `${at} [1] LOG:  could not bind IPv4 address "127.0.0.1": Address already in use`,
    `${at} [1] HINT:  Is another postmaster already running on port 5432?`,
    `${at} [1] FATAL:  could not create any TCP/IP sockets`,
    `${at} [1] STATEMENT:  alter role a password 'hunter2'`,
  ]);
  expect(words?.message).toContain('Is another postmaster already running on port 5432?');
  expect(words?.message).not.toContain('hunter2');
});

test('statements of clients before the end are not shown, since they may hold secrets', () => {
  const words = last([
    `${at} [1] WARNING:  not enough room`,
    `${at} [1] QUERY:  select 'hunter1'`,
    `${at} [1] STATEMENT:  alter role a password 'hunter2'`,
    `${at} [1] FATAL:  could not create any TCP/IP sockets`,
  ]);
  expect(words?.message).toMatch(/FATAL: could not .*, after WARNING: not enough room$/);
  expect(words?.message).not.toContain('hunter');
});

test('clients that are refused meanwhile do not hide the reason', () => {
  const reason = `${at} [1] FATAL:  could not access file "no_lib": No such file or directory`;
  const refused = [
    'the database system is starting up',
    'the database system is not yet accepting connections',
    'password authentication failed for user "app"',
    'sorry, too many clients already',
    'database "shop" does not exist',
    'no pg_hba.conf entry for host "127.0.0.1"',
  ].map((text) => `${at} [9] FATAL:  ${text}`);
  expect(last([reason, ...refused])?.message).toContain('no_lib');
  expect(last(refused, null, 'serving')).toBeNull();
});

test('a panic is not hidden by the processes that it ends', () => {
  const words = last(
    [
      `${at} [3] PANIC:  could not write to file "pg_wal/xlogtemp.3": No space left on device`,
      `${at} [4] FATAL:  could not send data to client: Broken pipe`,
    ],
    null,
    'serving',
  );
  expect(words?.message).toContain('No space left on device');
});

test('what a running server said long before its end is not its reason, and does not stand before the reason', () => {
  let nowMs = 0;
  const log = new ServerLog(null, () => nowMs);
  log.add(`${at} [1] WARNING:  an old warning`);
  log.add(`${at} [1] FATAL:  an old reason`);
  log.add(`${at} [1] WARNING:  another old warning`);
  expect(log.last('serving')?.message).toContain('an old reason');
  nowMs = 10_001;
  expect(log.last('serving')).toBeNull();
  expect(log.last('starting')?.message).toContain('an old reason');
  log.add(`${at} [1] FATAL:  a new reason`);
  expect(log.last('serving')?.message).toBe('PostgreSQL: FATAL: a new reason');
});

test.each([
  ['verbose messages', null, `${at} [1] FATAL:  55000: it is not ready`],
  ['%e in the prefix', '%m [%p] %e ', `${at} [1] 55000 FATAL:  it is not ready`],
  ['a padded %e', '%t:%-6e:%u ', `${at}:55000 : FATAL:  it is not ready`],
  ['%e before %q, which other processes stop at', '%e %q%u@%d ', '55000 FATAL:  it is not ready'],
  ['letters that mean something in a pattern', '[%p] (%e)+ ', '[1] (55000)+ FATAL:  it is not ready'],
])('the SQLSTATE is found in %s', (_, prefix, line) => {
  expect(last([line], prefix)).toMatchObject({
    sqlstate: '55000',
    message: 'PostgreSQL: FATAL 55000: it is not ready',
  });
});

test('a pid of five digits is not taken for a SQLSTATE', () => {
  expect(last([`${at} [12345] FATAL:  it is not ready`], '%m [%p] ')?.sqlstate).toBeNull();
  expect(last([`12345 FATAL:  it is not ready`], '%p %q%e ')?.sqlstate).toBeNull();
});

test('a program that could not be loaded, or speaks another language, is quoted with its last lines', () => {
  const words = last(['postgres: error while loading shared libraries: libicui18n.so.72: cannot open']);
  expect(words?.message).toContain('libicui18n.so.72');
  expect(last(['x'], null, 'serving')).toBeNull();
  expect(last([])).toBeNull();
});

test('where the log goes on is not taken for the reason of an end', () => {
  const moved = [
    `${at} [1] LOG:  starting PostgreSQL 15.18 on x86_64-pc-linux-gnu`,
    `${at} [1] LOG:  ending log output to stderr`,
    `${at} [1] HINT:  Future log output will go to log destination "syslog".`,
  ];
  expect(last(moved)).toBeNull();
  expect(last([...moved, `${at} [1] LOG:  received immediate shutdown request`])?.message).toBe(
    `PostgreSQL: ${at} [1] LOG:  received immediate shutdown request`,
  );
});
