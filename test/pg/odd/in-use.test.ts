import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CatalogFailure } from '../../../src/catalog/result.ts';
import { destroyPg } from '../../../src/pg/client.ts';
import { type Cluster, scratchDir, startCluster } from '../../support/cluster.ts';
import { installedPostgres } from '../../support/postgres-versions.ts';
import { eventually } from '../../support/program.ts';
import { apply, inputFor, query, value } from '../catalog/support.ts';
import { alive, hold, reconnecting, streaming } from './occupy.ts';

const conf = [
  'wal_level=logical',
  'max_prepared_transactions=10',
  'max_replication_slots=20',
  'wal_retrieve_retry_interval=1ms',
].join('\n');

const newest = installedPostgres().at(-1)?.major;

describe.each(installedPostgres())('PostgreSQL $major', (postgres) => {
  let cluster: Cluster;
  const lines: string[] = [];
  const log = pino({}, { write: (line: string) => void lines.push(line) });
  const sql = (text: string, database = 'postgres'): Promise<Record<string, unknown>[]> =>
    query({ ...cluster.target, database }, text);
  const at = (database: string, user = 'cloud_admin') => ({ ...cluster.target, database, user });
  const run = (parts: Parameters<typeof inputFor>[1], limits = {}) =>
    apply(cluster, inputFor(cluster.target, parts), { log, limits });
  const deleting = (name: string, limits = {}) =>
    run({ delta_operations: [{ action: 'delete_db', name }] }, limits);
  const renaming = (name: string, limits = {}) =>
    run({ delta_operations: [{ action: 'rename_db', name, new_name: `${name}_new` }] }, limits);
  const names = async () => (await sql('select datname from pg_database')).map((row) => row['datname']);
  const marks = () => sql('select setconfig from pg_db_role_setting where setrole = 0');
  const opened = (name: string) =>
    sql(`select datallowconn as open, datconnlimit as limit from pg_database where datname = '${name}'`);
  const isOpen = [{ open: true, limit: -1 }];

  beforeAll(async () => {
    cluster = await startCluster({ postgres, conf });
    await sql('create role ann login superuser; create role bob login createdb replication');
  });
  afterAll(() => cluster.stop());

  test('databases are created while template1 has sessions that come again at once, and it is open afterwards', async () => {
    const holder = await hold(at('template1', 'bob'));
    const loops = await Promise.all([
      reconnecting(() => hold(at('template1', 'bob'))),
      reconnecting(() => hold(at('template1', 'ann'))),
    ]);
    await sql(`begin; select pg_advisory_xact_lock(1); prepare transaction 'in template1'`, 'template1');
    const databases = ['c1', 'c2', 'c3', 'c4'].map((name) => ({ name, owner: 'ann' }));
    let done = false;
    const pass = run({ roles: [{ name: 'ann' }], databases }).finally(() => (done = true));
    // A system database that lets nobody in is repaired from there.
    while (!done) expect(await opened('template1')).toMatchObject([{ open: true }]);
    await pass;
    expect(await names()).toEqual(expect.arrayContaining(['c1', 'c2', 'c3', 'c4']));
    expect(await alive(holder)).toBe(false);
    expect(await opened('template1')).toEqual(isOpen);
    await Promise.all(loops.map((loop) => loop.stop()));
    expect(lines.join('')).toMatch(/ending what uses the database, to copy it: .*role \\"bob\\" in database/);
    expect(await marks()).toEqual([]);
  });

  test('a database with sessions that come again at once is renamed, and its settings stay as they were', async () => {
    await sql('create database busy connection limit 7');
    const loops = await Promise.all([
      reconnecting(() => hold(at('busy', 'bob'))),
      reconnecting(() => hold(at('busy', 'ann'))),
    ]);
    await renaming('busy');
    expect(await opened('busy_new')).toEqual([{ open: true, limit: 7 }]);
    expect(await marks()).toEqual([]);
    await Promise.all(loops.map((loop) => loop.stop()));
  });

  test('a database is renamed while a subscription inside it runs, which stays', async () => {
    await sql('create database subscriber');
    await sql(
      `create subscription inside connection 'host=127.0.0.1 port=${cluster.port} user=cloud_admin dbname=postgres'
       publication p with (connect = false, enabled = false, slot_name = none)`,
      'subscriber',
    );
    await sql(`alter subscription inside set (slot_name = 'nosuch')`, 'subscriber');
    await sql('alter subscription inside enable', 'subscriber');
    await renaming('subscriber');
    expect(await sql('select subenabled from pg_subscription')).toEqual([{ subenabled: true }]);
    await deleting('subscriber_new');
    expect(await names()).not.toContain('subscriber_new');
    expect(await sql('select from pg_subscription')).toEqual([]);
  });

  test('a database is deleted with slots, a walsender that comes again, prepared transactions and sessions', async () => {
    await sql('create database full1');
    for (const slot of ['idle', 'used', 'streamed'])
      await sql(`select pg_create_logical_replication_slot('full1_${slot}', 'test_decoding')`, 'full1');
    await sql(`begin; create table t (); prepare transaction 'it''s \\ "one"'`, 'full1');
    await sql(`set role bob; begin; select pg_advisory_xact_lock(2); prepare transaction 'two'`, 'full1');
    const reader = await hold(at('full1'));
    const loops = await Promise.all([
      reconnecting(() => streaming(at('full1'), 'full1_streamed')),
      reconnecting(() => streaming(at('full1', 'bob'), 'full1_used')),
      reconnecting(() => hold(at('full1', 'bob'))),
    ]);
    await deleting('full1');
    expect(await names()).not.toContain('full1');
    expect(await sql('select from pg_replication_slots')).toEqual([]);
    expect(await sql('select from pg_prepared_xacts')).toEqual([]);
    expect(await alive(reader)).toBe(false);
    await Promise.all(loops.map((loop) => loop.stop()));
    const told = lines.join('');
    expect(told).toContain('walsender');
    expect(told).toContain('prepared transaction');
  });

  // The rest does not differ between the versions.
  if (postgres.major !== newest) return;

  test('a database that accepts no connections is deleted although it has a subscription and a prepared transaction', async () => {
    await sql('create database shut');
    await sql(
      `create subscription shut connection 'host=/nowhere' publication p with (connect = false, slot_name = none)`,
      'shut',
    );
    await sql(`begin; create table t (); prepare transaction 'shut'`, 'shut');
    await sql('alter database shut allow_connections false');
    await deleting('shut');
    expect(await names()).not.toContain('shut');
  });

  test('a prepared transaction keeps a database from being renamed, is named, kept, and can be committed meanwhile', async () => {
    await sql('create database promised');
    await sql(`begin; create table kept (); prepare transaction 'kept'`, 'promised');
    const session = await hold(at('promised', 'bob'));
    const failure = (await renaming('promised', { statementMs: 1000 }).catch(
      (error: unknown) => error,
    )) as CatalogFailure;
    expect(failure.message).toContain('rename-and-delete-databases');
    expect(failure.result.outcomes.at(-1)).toMatchObject({
      result: 'failed',
      sqlState: '55006',
      reason: expect.stringContaining('prepared transaction "kept" of role "cloud_admin"') as string,
    });
    // Nothing was ended for a renaming that could not be.
    expect(await alive(session)).toBe(true);
    expect(await opened('promised')).toEqual(isOpen);
    const renamed = renaming('promised');
    await sql(`commit prepared 'kept'`, 'promised');
    await renamed;
    expect(await value(at('promised_new'), `select to_regclass('kept') is not null`)).toBe(true);
    destroyPg(session);
  });

  test('what an earlier compute_ctl left closed is opened again, what a user closed is not', async () => {
    await sql('create database left1 connection limit 3');
    await sql('create database users1 allow_connections false');
    await sql('create database users2 allow_connections false connection limit 0');
    await sql(`alter database left1 allow_connections false`);
    await sql(`alter database left1 set compute_ctl.reopen to 't,3'`);
    await run({});
    expect(await opened('left1')).toEqual([{ open: true, limit: 3 }]);
    expect(await opened('users1')).toEqual([{ open: false, limit: -1 }]);
    expect(await opened('users2')).toEqual([{ open: false, limit: 0 }]);
    expect(await marks()).toEqual([]);
    // No user can make us open or close a database.
    await sql('create database bobs owner bob');
    await expect(
      query(at('bobs', 'bob'), `alter database bobs set compute_ctl.reopen to 't,-1'`),
    ).rejects.toThrow();
    for (const name of ['left1', 'users1', 'users2', 'bobs']) await deleting(name);
  });

  /** A session that does not end before `wake`, so that the pass waits in the middle, with the database closed. */
  const stopped = async (database: string) => {
    const client = await hold(at(database, 'bob'), 'select', 'stopped');
    const pid = Number((await client.query<{ pid: number }>('select pg_backend_pid() pid')).rows[0]?.pid);
    process.kill(pid, 'SIGSTOP');
    const wake = (): void => {
      process.kill(pid, 'SIGCONT');
      destroyPg(client);
    };
    return { pid, wake };
  };
  const becomes = (name: string, open: boolean) =>
    eventually(`open: ${open}`, async () => ((await opened(name))[0]?.['open'] === open ? true : undefined));

  test('what cannot be ended is named at the limit, and the database is open again, also after an abort', async () => {
    await sql('create database cut');
    const { pid, wake } = await stopped('cut');
    try {
      const failure = (await deleting('cut', { statementMs: 1500 }).catch(
        (error: unknown) => error,
      )) as CatalogFailure;
      expect(failure.result.outcomes.at(-1)?.reason).toContain(
        `cannot delete database "cut", used by process ${pid} of role "bob" in database "cut" (application "stopped")`,
      );
      expect(await opened('cut')).toEqual(isOpen);
      const end = new AbortController();
      const input = inputFor(cluster.target, { delta_operations: [{ action: 'delete_db', name: 'cut' }] });
      const pass = apply(cluster, input, { signal: end.signal }).catch(() => {});
      await becomes('cut', false);
      end.abort();
      await pass;
      await becomes('cut', true);
      expect(await marks()).toEqual([]);
    } finally {
      wake();
    }
    await deleting('cut');
  });

  test('after compute_ctl was killed the next pass opens the database, with another spec, too', async () => {
    await sql('create database killed connection limit 9');
    const { wake } = await stopped('killed');
    const home = scratchDir('pass');
    try {
      const outfile = join(home, 'pass.cjs');
      const entryPoints = [fileURLToPath(new URL('pass.ts', import.meta.url))];
      await build({
        entryPoints,
        outfile,
        bundle: true,
        platform: 'node',
        format: 'cjs',
        logLevel: 'silent',
      });
      const parts = { delta_operations: [{ action: 'delete_db', name: 'killed' }] };
      const args = [outfile, JSON.stringify(cluster.target), JSON.stringify(parts)];
      const child = spawn(process.execPath, args, { stdio: 'ignore' });
      const exited = once(child, 'exit');
      try {
        await becomes('killed', false);
      } finally {
        child.kill('SIGKILL');
        await exited;
      }
      expect(await opened('killed')).toEqual([{ open: false, limit: 9 }]);
      await run({});
      expect(await opened('killed')).toEqual([{ open: true, limit: 9 }]);
      expect(await marks()).toEqual([]);
    } finally {
      wake();
      rmSync(home, { recursive: true });
    }
  });
});
