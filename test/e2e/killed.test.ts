import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import { connectPg, destroyPg } from '../../src/pg/client.ts';
import { type Rig, processesIn, rig } from '../support/compute.ts';
import { defaultPostgres } from '../support/postgres-versions.ts';
import { eventually } from '../support/program.ts';
import { watchersOf } from '../support/watcher.ts';

let it: Rig;
beforeEach(async () => {
  it = await rig();
});
afterEach(() => it.stop());

const nothingLeft = (limitMs = 20_000): Promise<true> =>
  eventually(
    'nothing of the compute runs',
    () => [...processesIn(it.pgdata), ...watchersOf(it.pgdata)].length === 0 || undefined,
    limitMs,
  );

const postmasterPid = (): number =>
  Number.parseInt(readFileSync(join(it.pgdata, 'postmaster.pid'), 'utf8'), 10);

test('a compute_ctl that is killed leaves no Postgres behind, and none of its own processes', async () => {
  const program = it.start();
  await it.until('running');
  expect(watchersOf(it.pgdata)).toHaveLength(1);
  // What reaches everything of its terminal or group does not reach the watcher.
  for (const pid of watchersOf(it.pgdata))
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(pid, signal);
  program.kill('SIGKILL');
  await nothingLeft();
});

test('killed at any moment of its start, it leaves no Postgres behind', async () => {
  const startedMs = performance.now();
  const whole = it.start();
  await it.until('running');
  const tookMs = performance.now() - startedMs;
  whole.kill('SIGTERM');
  await whole.exited();
  for (let at = 0; at < 8; at++) {
    const program = it.start();
    // The moment is what is tested, not waited for.
    await new Promise((resolve) => setTimeout(resolve, (tookMs * (at + 0.5)) / 8));
    program.kill('SIGKILL');
    await program.exited();
    await nothingLeft();
  }
});

test('the Postgres of the next compute_ctl, which starts at once, is not taken for that of the killed one', async () => {
  const first = it.start();
  await it.until('running');
  const [watcher] = watchersOf(it.pgdata) as [number];
  // The watcher comes too late, when the next Postgres already runs in the same directory.
  process.kill(watcher, 'SIGSTOP');
  first.kill('SIGKILL');
  await first.exited();
  const second = it.start();
  await it.until('running');
  const postmaster = postmasterPid();
  process.kill(watcher, 'SIGCONT');
  await eventually(
    'the end of the first watcher',
    () => !watchersOf(it.pgdata).includes(watcher) || undefined,
  );
  expect(postmasterPid()).toBe(postmaster);
  expect((await it.http('GET', '/status')).json()).toMatchObject({ status: 'running' });
  second.kill('SIGTERM');
  expect(await second.exited()).toBe(0);
  expect(watchersOf(it.pgdata)).toEqual([]);
});

test('a Postgres that does not end by a fast stop is stopped immediately', async () => {
  const program = it.start();
  await it.until('running');
  const pg = await connectPg(
    {
      host: '127.0.0.1',
      port: it.port,
      user: 'cloud_admin',
      password: new Secret(''),
      database: 'postgres',
      options: '',
    },
    { applicationName: 'test', connectMs: 5000, queryMs: 5000, signal: new AbortController().signal },
  );
  const { rows } = await pg.query<{ pid: number }>('select pg_backend_pid() as pid');
  const session = rows[0]?.pid ?? -1;
  process.kill(session, 'SIGSTOP');
  try {
    program.kill('SIGKILL');
    await nothingLeft(40_000);
  } finally {
    destroyPg(pg);
  }
});

test('killed during a sync of the safekeepers, it leaves none behind', async () => {
  // Stands for the postgres of Neon, which has such a sync; here one that never ends.
  const fake = join(it.home, 'postgres');
  const { bindir } = defaultPostgres();
  writeFileSync(
    fake,
    `#!/bin/sh
case "$*" in
  *--sync-safekeepers*) while :; do sleep 1; done ;;
  *) exec ${bindir}/postgres "$@" ;;
esac
`,
  );
  chmodSync(fake, 0o755);
  it.safekeeper.script = { fault: 'unknown' };
  const program = it.start({ args: ['-b', fake] });
  const syncing = (): number[] => processesIn(it.pgdata).filter((pid) => commOf(pid) === 'postgres');
  await eventually('the sync', () => syncing().length > 0 || undefined);
  program.kill('SIGKILL');
  await eventually('the end of the sync', () => syncing().length === 0 || undefined, 20_000);
});

const commOf = (pid: number): string => {
  try {
    return execFileSync('cat', [`/proc/${pid}/comm`], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return '';
  }
};
