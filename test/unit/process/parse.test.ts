import { expect, test } from 'vitest';
import { passwdEntry } from '../../../src/process/os-user.ts';
import { isPostgresProgram } from '../../../src/postgres/pgdata-processes.ts';
import { parsePostmasterPid } from '../../../src/postgres/postmaster-pid.ts';
import { attachments } from '../../../src/process/proc.ts';
import { isCoreDump } from '../../../src/postgres/core-dumps.ts';

test('a passwd entry is found among broken lines', () => {
  const text = '# comment\nroot:x:0:0::/root:/bin/sh\nbroken:x\npostgres:x:101:103::/var/lib:/bin/bash\n';
  expect(passwdEntry(text, 'postgres')).toMatchObject({ uid: 101, gid: 103 });
  expect(passwdEntry(text, 'broken')).toBeNull();
  expect(passwdEntry(text, 'post')).toBeNull();
});

test('a postmaster.pid is read line by line', () => {
  const text = '4711\n/data\n1754042400\n5432\n/tmp\n*\n 12345678     98304\nready   \n';
  expect(parsePostmasterPid(text)).toEqual({
    pid: 4711,
    startSeconds: 1754042400,
    sharedMemory: { key: 12345678, id: 98304 },
    status: 'ready',
  });
});

test.each(['', '\n\n', 'abc', '\0\0\0', '0\n'])(
  'of the damaged postmaster.pid %j nothing is believed',
  (text) => {
    expect(parsePostmasterPid(text)).toMatchObject({ pid: null, startSeconds: null, sharedMemory: null });
  },
);

test('the pid of a standalone backend is negative in the file', () => {
  expect(parsePostmasterPid('-12\n/data\n').pid).toBe(12);
});

test('a shared memory segment is found by key and id, also where the key shows as negative', () => {
  const table = [
    '       key      shmid perms                  size  cpid  lpid nattch   uid   gid',
    '  12345678      98304   600                    56    10    10      3   101   103',
    ' -1294967296        7   600                    56    10    10      2   101   103',
  ].join('\n');
  expect(attachments(table, 12345678, 98304)).toBe(3);
  expect(attachments(table, 12345678, 1)).toBe(0);
  expect(attachments(table, 3000000000, 7)).toBe(2);
});

test('a replaced program is still a Postgres', () => {
  expect(isPostgresProgram('/usr/lib/postgresql/15/bin/postgres (deleted)')).toBe(true);
  expect(isPostgresProgram('/usr/bin/postgres_exporter')).toBe(false);
});

test('core dumps are told by their names', () => {
  expect(['core', 'core.12', 'corecore', 'PG_VERSION'].filter(isCoreDump)).toEqual(['core', 'core.12']);
});
