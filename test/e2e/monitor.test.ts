import { eventually } from '../support/program.ts';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import type { DowntimeReport, PostgresReport } from '../../src/monitor/report.ts';
import { checked, figure, pause, seen } from '../pg/monitor/support.ts';
import { withPg } from '../../src/pg/client.ts';
import { type Rig, rig } from '../support/compute.ts';
import { defaultPostgres } from '../support/postgres-versions.ts';

let it: Rig;
beforeEach(async () => {
  it = await rig();
});
afterEach(() => it.stop());

const password = 'correct-horse-battery';
const signal = new AbortController().signal;

const query = <R extends object>(sql: string, database = 'postgres', user = 'cloud_admin'): Promise<R[]> =>
  withPg(
    { host: '127.0.0.1', port: it.port, user, password: new Secret(password), database, options: '' },
    { applicationName: 'test', connectMs: 5000, queryMs: 5000, signal },
    async (pg) => (await pg.query<R>(sql)).rows,
  );

const postmasterPid = (): number =>
  Number(readFileSync(join(it.pgdata, 'postmaster.pid'), 'utf8').split('\n')[0]);

const metrics = { render: async () => (await it.http('GET', '/metrics')).body };

async function metric(name: string): Promise<number> {
  const { body } = await it.http('GET', '/metrics');
  return Number(new RegExp(`^${name} (.*)$`, 'm').exec(body)?.[1]);
}
const probe = async (path: string): Promise<number> => (await it.http('GET', path)).status;
const postgres = async (): Promise<PostgresReport | undefined> =>
  (await it.http('GET', '/status')).json<{ postgres?: PostgresReport }>().postgres;
const downtime = async (): Promise<DowntimeReport> =>
  (await it.http('GET', '/downtime')).json<DowntimeReport>();
const now = (): number => performance.now();

test('a frozen postmaster makes the compute not ready and stays measured until it thaws', async () => {
  it.start();
  await it.until('running');
  await checked(metrics, 1);
  expect(await postgres()).toMatchObject({
    up: true,
    reason: null,
    current_downtime_ms: 0,
    total_downtime_ms: 0,
  });
  const pid = postmasterPid();
  const stoppedAt = now();
  process.kill(pid, 'SIGSTOP');
  try {
    await seen('not ready', async () => (await probe('/readyz')) === 503, 5000);
    figure('SIGSTOP of the postmaster to /readyz 503, ms', now() - stoppedAt);
    expect(await probe('/livez')).toBe(200);
    const first = await metric('compute_pg_current_downtime_ms');
    await seen('rising', async () => (await metric('compute_pg_current_downtime_ms')) > first, 1000);
    figure('SIGSTOP to a current downtime that rises, ms', now() - stoppedAt);
    expect(now() - stoppedAt).toBeLessThan(6000);
    expect(await postgres()).toMatchObject({ up: false, reason: 'connect_timeout' });
    expect(await downtime()).toMatchObject({ incidents: [{ ended_at: null, reason: 'connect_timeout' }] });
  } finally {
    process.kill(pid, 'SIGCONT');
  }
  const continuedAt = now();
  await seen('ready', async () => (await metric('compute_pg_current_downtime_ms')) === 0, 2000);
  figure('SIGCONT to current downtime 0, ms', now() - continuedAt);
  expect(await probe('/readyz')).toBe(200);
  const total = await metric('compute_pg_downtime_ms_total');
  expect((await downtime()).incidents[0]).toMatchObject({ duration_ms: total, message: expect.any(String) });
  expect((await it.http('GET', '/metrics')).body).toContain(
    'compute_pg_downtime_incidents_total{reason="connect_timeout",sqlstate=""} 1\n',
  );
});

test('dropping the monitored database is downtime, is logged without the password, and ends with it', async () => {
  const connstr = `postgresql://cloud_admin:${password}@127.0.0.1:${it.port}/postgres`;
  const program = it.start({ args: ['-C', connstr] });
  await it.until('running');
  await query('drop database postgres with (force)', 'template1');
  const both = ['compute_pg_current_downtime_ms', 'compute_pg_downtime_ms_total'];
  await seen('downtime', async () => (await Promise.all(both.map(metric))).every((each) => each > 0));
  await seen('its reason', async () => (await postgres())?.sqlstate === '3D000');
  await query('create database postgres', 'template1');
  await seen('the end', async () => (await metric('compute_pg_current_downtime_ms')) === 0);
  expect(await metric('compute_pg_downtime_ms_total')).toBeGreaterThan(0);
  expect(program.stderr()).toMatch(
    /ERROR could not .*downtime_info=total_ms: \d+, current_ms: [1-9]\d*, last_up: 20/,
  );
  expect(program.stderr()).toContain('starting compute monitor for postgresql://cloud_admin@127.0.0.1');
  expect(program.output()).not.toContain(password);
});

test('a killed Postgres is told from everything else as long as somebody can ask', async () => {
  const program = it.start();
  await it.until('running');
  await checked(metrics, 1);
  process.kill(postmasterPid(), 'SIGKILL');
  const found: (PostgresReport | undefined)[] = [];
  await seen('the reason', async () => {
    found.push(await postgres());
    return found.at(-1)?.reason === 'postgres_exited';
  });
  expect(await program.exited()).toBe(1);
});

test('the monitor goes on while the compute has failed to reconfigure and Postgres serves', async () => {
  const program = it.start();
  await it.until('running');
  const impossible = it.spec();
  (impossible['cluster'] as { databases: object[] }).databases = [
    { name: 'shop', owner: 'nobody', options: null },
  ];
  const answer = await it.http('POST', '/configure', it.config(impossible));
  expect([answer.status, (await it.http('GET', '/status')).json()['status']]).toEqual([500, 'failed']);
  expect(await probe('/readyz')).toBe(200);
  await query('create role client login');
  const before = Date.now();
  await query('select pg_sleep(0.7)', 'postgres', 'client');
  await seen('activity', async () => {
    const { last_active } = (await it.http('GET', '/status')).json<{ last_active: string | null }>();
    return last_active !== null && Date.parse(last_active) >= before - 1000;
  });
  expect(await postgres()).toMatchObject({ up: true, last_activity: 'session' });
  expect((await it.http('POST', '/terminate?mode=immediate')).status).toBe(200);
  expect(await program.exited()).toBe(0);
});

test('a clean end is quiet and is not downtime', async () => {
  const program = it.start();
  await it.until('running');
  await checked(metrics, 1);
  expect((await it.http('POST', '/terminate')).status).toBe(200);
  expect(await metric('compute_pg_current_downtime_ms')).toBe(0);
  expect(await metric('compute_pg_downtime_ms_total')).toBe(0);
  expect(await probe('/readyz')).toBe(503);
  expect((await downtime()).incidents).toEqual([]);
  program.kill('SIGTERM');
  expect(await program.exited()).toBe(0);
  expect(program.stderr()).not.toContain('could not c');
  expect(program.stderr()).toContain('stopping compute monitor');
});

const waldump = (start: string, end: string): string =>
  execFileSync(
    join(defaultPostgres().bindir, 'pg_waldump'),
    ['-p', join(it.pgdata, 'pg_wal'), '-s', start, '-e', end],
    { encoding: 'utf8' },
  );

test('nothing is written for the availability check before it is asked for, and an idle compute writes no WAL', async () => {
  const program = it.start();
  await it.until('running');
  // The first start of a cluster migrates its catalog in the background.
  const migrated = (): true | undefined => program.stderr().includes('Finished migration id=12') || undefined;
  await eventually('the migrations', migrated);
  const lsn = async (): Promise<string> =>
    (await query<{ lsn: string }>('select pg_current_wal_insert_lsn() lsn'))[0]?.lsn ?? '';
  const table = "select to_regclass('public.health_check')::text t";
  // What belongs to the start, its migrations for one, may still be going on.
  const settled = async (): Promise<boolean> => (await lsn()) === (await pause(1500).then(lsn));
  await seen('the end of the start', settled, 30_000);
  const start = await lsn();
  // Idle time is what is tested: long enough for Postgres' own records of every 15 seconds.
  await pause(17_000);
  const end = await lsn();
  await query('select pg_switch_wal()');
  // pg_waldump does not accept a range without a record.
  const records = start === end ? '' : waldump(start, end);
  const kinds = records.split('\n').map((line) => /^rmgr: (\w+).*desc: (\w+)/.exec(line));
  const own = kinds.filter((kind) => kind !== null && !postgresItself.includes(`${kind[1]} ${kind[2]}`));
  const size = kinds.filter((kind) => kind !== null).length;
  figure('WAL records in 17 idle seconds, all written by Postgres itself', size);
  expect(own.map((kind) => kind?.[0])).toEqual([]);

  expect(await query(table)).toEqual([{ t: null }]);
  const answers = await Promise.all([1, 2, 3].map(() => it.http('POST', '/check_writability')));
  expect(answers.map(({ status, body }) => [status, body])).toEqual(Array(3).fill([200, 'true']));
  expect(await query('select id from public.health_check')).toEqual([{ id: 1 }]);
  await query('drop table public.health_check');
  await query('create view public.health_check as select 1 id');
  const refused = await it.http('POST', '/check_writability');
  expect([refused.status, refused.body]).toEqual([
    500,
    expect.stringContaining('could not check writability'),
  ]);
});

/** The background writer, the checkpointer and the archiver do this on every idle server. */
const postgresItself = [
  'Standby RUNNING_XACTS',
  'XLOG CHECKPOINT_ONLINE',
  'XLOG CHECKPOINT_REDO',
  'XLOG SWITCH',
];

test('a compute that waits for its spec says nothing of Postgres yet', async () => {
  it.start({ spec: null });
  await it.until('empty');
  expect((await it.http('GET', '/status')).json()).not.toHaveProperty('postgres');
  expect(await downtime()).toEqual({ current_downtime_ms: 0, total_downtime_ms: 0, incidents: [] });
  expect((await it.http('POST', '/check_writability')).status).toBe(412);
  await it.http('POST', '/configure', it.config(it.spec()));
  expect(await postgres()).toMatchObject({ up: true });
});
