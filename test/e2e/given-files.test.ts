import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  writeFileSync,
} from 'node:fs';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { withPg } from '../../src/pg/client.ts';
import { parseConnstr } from '../../src/pg/connstr.ts';
import { withControlPlane } from '../support/control-plane.ts';
import { type Rig, processesIn, rig } from '../support/compute.ts';
import { eventually } from '../support/program.ts';

// What the starter of compute_ctl has open: a file of root, a pipe with a token, the log.

let it: Rig;
let precious: string;
beforeEach(async () => {
  it = await rig();
  mkdirSync(join(it.home, 'closed'), { mode: 0o700 });
  precious = join(it.home, 'closed', 'precious');
  writeFileSync(precious, 'all of it\n', { mode: 0o600 });
});
afterEach(() => it.stop());

/** What a process has open; nothing of it when it has ended meanwhile. */
function filesOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
  } catch {
    return [];
  }
}

const sql = (text: string): Promise<unknown> =>
  withPg(
    parseConnstr(`postgresql://cloud_admin@127.0.0.1:${it.port}/postgres`),
    { applicationName: 'test', connectMs: 10_000, queryMs: 20_000, signal: new AbortController().signal },
    (pg) => pg.query(text),
  );

test('a file that the starter of compute_ctl has open is not open in Postgres', async () => {
  it.start({ before: [3, 15, 16, 30, 200].map((fd) => `exec ${fd}<${precious}`).join('; ') });
  await it.until('running');
  const servers = processesIn(it.pgdata);
  expect(servers).not.toEqual([]);
  for (const pid of servers) expect(filesOf(pid)).not.toContain(precious);
});

test('a program of Postgres can neither write to the stdout of compute_ctl nor empty it', async () => {
  const program = it.start({ before: `exec >${precious}` });
  await it.until('running');
  for (const pid of processesIn(it.pgdata)) expect(filesOf(pid)).not.toContain(precious);
  await sql("copy (select 'written by a program') to program 'cat'");
  await eventually('its line in the log', () =>
    /PG:.*written by a program/.test(program.stderr()) ? true : undefined,
  );
  expect(readFileSync(precious, 'utf8')).not.toContain('written by');
});

test('a reader of stdout that stopped holds up no program of Postgres', async () => {
  const path = join(it.home, 'stdout');
  execFileSync('mkfifo', ['-m', '666', path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    it.start({ before: `exec >${path}` });
    await it.until('running');
    await sql("copy (select repeat('x', 1000000)) to program 'cat'");
  } finally {
    closeSync(reader);
  }
});

test.each([
  ['a pipe', () => `exec 3< <(cat ${precious})`, '/dev/fd/3'],
  ['a pipe with a high number', () => `exec 40< <(cat ${precious})`, '/proc/self/fd/40'],
  ['a file of root', () => `exec 3<${precious}`, '/dev/fd/3'],
  ['stdin', () => `exec <${precious}`, '/dev/stdin'],
])('a token in %s that the starter has opened is read after root was given up', async (_, before, path) => {
  writeFileSync(precious, 'taken\n');
  await withControlPlane(
    () => it.config(it.spec()),
    async ({ uri, asked }) => {
      const args = ['-p', uri, '-i', 'compute-1', '--control-plane-token-file', path];
      const program = it.run(args, {}, undefined, undefined, before());
      await it.until('running');
      program.kill('SIGHUP');
      await eventually('a second request', () => (asked.length > 1 ? true : undefined));
      expect(new Set(asked)).toEqual(new Set(['Bearer taken']));
      for (const pid of processesIn(it.pgdata)) expect(filesOf(pid)).not.toContain(precious);
    },
  );
});

test('a config in a pipe of root is read, and read again on SIGHUP', async () => {
  writeFileSync(precious, JSON.stringify(it.config(it.spec())));
  const program = it.run(
    ['-c', '/dev/stdin', '-i', 'compute-1'],
    {},
    undefined,
    undefined,
    `exec < <(cat ${precious})`,
  );
  await it.until('running');
  program.kill('SIGHUP');
  await eventually('the refresh', () =>
    program.stderr().includes('the configuration has not changed') ? true : undefined,
  );
});
