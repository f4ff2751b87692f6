import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { markerFile } from '../../src/postgres/marker.ts';
import { type PgClient, connectPg, destroyPg, withPg } from '../../src/pg/client.ts';
import type { PgTarget } from '../../src/pg/target.ts';
import { type LocalRig, localRig, targetOf } from '../support/local.ts';
import { freePort } from '../support/cluster.ts';
import { defaultPostgres } from '../support/postgres-versions.ts';
import { eventually, startProgram } from '../support/program.ts';

let it: LocalRig;
beforeEach(() => {
  it = localRig();
});
afterEach(() => it.clean());

const never = new AbortController().signal;
const options = { applicationName: 'writer', connectMs: 2000, queryMs: 10_000, signal: never };

const target = async (): Promise<PgTarget> => targetOf((await it.command('url')).stdout.trim());

/** Inserts about 50 rows a second until stopped, over whatever dies meanwhile. */
function writer(to: PgTarget) {
  const [tried, acknowledged] = [new Set<number>(), new Set<number>()];
  let stopped = false;
  const work = async (): Promise<void> => {
    let client: PgClient | undefined;
    for (let id = 1; !stopped; id++) {
      try {
        client ??= await connectPg(to, options);
        tried.add(id);
        await client.query('insert into written (id) values ($1)', [id]);
        acknowledged.add(id);
      } catch {
        if (client !== undefined) destroyPg(client);
        client = undefined;
      }
      // The pace of the client, not a wait.
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    if (client !== undefined) await client.end();
  };
  const done = work();
  return { tried, acknowledged, stop: () => ((stopped = true), done) };
}

const victims = [['postgres'], ['compute_ctl'], ['storage'], ['postgres', 'compute_ctl', 'storage']] as const;

test('twenty times something is killed, and every acknowledged row is there, no other, on timeline 1', async () => {
  await it.upAndReady();
  const to = await target();
  await withPg(to, options, (pg) => pg.query('create table written (id bigint primary key)'));
  const { tried, acknowledged, stop } = writer(to);
  const more = async (rows: number): Promise<void> => {
    const goal = acknowledged.size + rows;
    await eventually('writes go on', () => (acknowledged.size >= goal ? true : undefined), 60_000);
  };
  await more(10);
  for (let cycle = 0; cycle < 20; cycle++) {
    for (const victim of victims[cycle % victims.length] ?? []) {
      const pid = await eventually(`${victim} runs`, () => it.pidOf(victim), 30_000);
      process.kill(pid, 'SIGKILL');
    }
    await more(10);
  }
  await stop();
  const rows = await withPg(to, options, (pg) => pg.query<{ id: string }>('select id from written'));
  const found = new Set(rows.rows.map(({ id }) => Number(id)));
  expect([...acknowledged].filter((id) => !found.has(id))).toEqual([]);
  expect([...found].filter((id) => !tried.has(id))).toEqual([]);
  const sql = 'select substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) as timeline';
  const timeline = await withPg(
    { ...to, user: 'cloud_admin', host: `${it.dir}/run`, database: 'postgres' },
    options,
    (pg) => pg.query<{ timeline: string }>(sql),
  );
  expect(timeline.rows).toEqual([{ timeline: '00000001' }]);
}, 400_000);

test('stopped and started again, the data directory was made anew and the data is there', async () => {
  const { program, to } = await it.upAndReady();
  await withPg(to, options, (pg) => pg.query('create table kept as select 42 answer'));
  program.kill('SIGINT');
  expect(await program.exited(60_000)).toBe(0);
  mkdirSync(`${it.pgdata}/global/left-by-the-first-run`);
  await it.upAndReady();
  const { rows } = await withPg(to, options, (pg) => pg.query('select answer from kept'));
  expect(rows).toEqual([{ answer: 42 }]);
  expect(existsSync(`${it.pgdata}/global/left-by-the-first-run`)).toBe(false);
});

test('a start from a storage that is stopped fails in bounds, with the reason and a clean directory', async () => {
  await it.upAndReady();
  const { ports, controlPlaneToken, computeId } = it.state();
  const url = `http://127.0.0.1:${ports['controlPlane']}/compute/api/v2/computes/${String(computeId)}/spec`;
  const response = await fetch(url, { headers: { authorization: `Bearer ${String(controlPlaneToken)}` } });
  const config = join(it.dir, 'config.json');
  writeFileSync(config, await response.text());
  const pgdata = join(it.dir, 'second');
  const storage = it.pidOf('storage') ?? -1;
  process.kill(storage, 'SIGSTOP');
  try {
    const [http, internal] = [await freePort(), await freePort()];
    const program = startProgram('compute_ctl', [
      ...['-c', config, '-i', 'second', '-D', pgdata, '-b', join(defaultPostgres().bindir, 'postgres')],
      ...[
        '-C',
        'postgresql://cloud_admin@127.0.0.1:1/postgres',
        '--exit-grace-ms',
        '0',
        '--sync-timeout',
        '2',
      ],
      ...['--external-http-port', String(http), '--internal-http-port', String(internal)],
    ]);
    expect(await program.exited(40_000)).toBe(1);
    expect(program.stderr()).toContain('failed to sync safekeepers');
    expect(program.stderr()).toContain('from init to failed');
    expect(readdirSync(pgdata).filter((name) => name !== 'postgresql.conf' && name !== 'pg_wal')).toEqual([
      markerFile,
    ]);
  } finally {
    process.kill(storage, 'SIGCONT');
  }
}, 120_000);

test('writes go on after the storage was stopped for a while, and nothing is lost', async () => {
  await it.upAndReady();
  const to = await target();
  await withPg(to, options, (pg) => pg.query('create table written (id bigint primary key)'));
  const { acknowledged, tried, stop } = writer(to);
  await eventually('writes', () => (acknowledged.size > 5 ? true : undefined));
  const storage = it.pidOf('storage') ?? -1;
  process.kill(storage, 'SIGSTOP');
  process.kill(it.pidOf('postgres') ?? -1, 'SIGKILL');
  await eventually('Postgres is gone', () => (it.pidOf('postgres') === undefined ? true : undefined));
  const before = acknowledged.size;
  process.kill(storage, 'SIGCONT');
  await eventually('writes go on', () => (acknowledged.size > before + 10 ? true : undefined), 60_000);
  await stop();
  const { rows } = await withPg(to, options, (pg) => pg.query<{ id: string }>('select id from written'));
  const found = new Set(rows.map(({ id }) => Number(id)));
  expect([...acknowledged].filter((id) => !found.has(id))).toEqual([]);
  expect([...found].filter((id) => !tried.has(id))).toEqual([]);
}, 120_000);
