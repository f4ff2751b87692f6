import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { defaultLimits } from '../../../src/catalog/session.ts';
import { repairSystemDatabase } from '../../../src/catalog/system-database.ts';
import { connectPg, destroyPg } from '../../../src/pg/client.ts';
import { type Cluster, startCluster } from '../../support/cluster.ts';
import { installedPostgres, isOldestOrNewest } from '../../support/postgres-versions.ts';
import { apply, inputFor, md5, never, query, value } from './support.ts';

const roles = [{ name: 'owner' }, { name: 'maker', options: [{ name: 'CREATEROLE', vartype: 'bool' }] }];
const parts = { roles, databases: [{ name: 'postgres', owner: 'owner' }] };

describe.each(installedPostgres())('PostgreSQL $major: the owner of the system database', (postgres) => {
  let cluster: Cluster;
  const lines: string[] = [];
  const log = pino({}, { write: (line: string) => void lines.push(line) });
  const owner = (text: string, database = 'template1') =>
    query({ ...cluster.target, user: 'owner', database }, text);
  const run = () => apply(cluster, inputFor(cluster.target, parts), { log });
  const ownerNow = () =>
    value(cluster.target, `select datdba::regrole::text from pg_database where datname = 'postgres'`);
  beforeAll(async () => {
    cluster = await startCluster({ postgres, conf: 'max_prepared_transactions=2' });
    await run();
  });
  afterAll(() => cluster.stop());

  test('renames it, and stays connected to it: it gets its name back', async () => {
    await owner('create table public.kept ()', 'postgres').catch(() =>
      owner('create schema kept', 'postgres'),
    );
    await owner('alter database postgres rename to mine');
    const stays = await connectPg(
      { ...cluster.target, user: 'owner', database: 'mine' },
      { applicationName: 'test', connectMs: 10_000, signal: never },
    );
    try {
      expect((await run()).statements).toBe(0);
      expect(
        await query(
          { ...cluster.target, database: 'template1' },
          `select from pg_database where datname = 'mine'`,
        ),
      ).toEqual([]);
      expect(lines.join('')).toContain('it was renamed to');
    } finally {
      destroyPg(stays);
    }
  });

  test.runIf(isOldestOrNewest(postgres))(
    'renames it, and keeps it in use by a prepared transaction: there is a new one',
    async () => {
      await owner('alter database postgres rename to mine');
      await owner(`begin; select from pg_class; prepare transaction 'mine'`, 'mine');
      await run();
      expect(await ownerNow()).toBe('owner');
      await owner(`rollback prepared 'mine'`, 'mine');
    },
  );

  test('drops it: there is a new one', async () => {
    await owner('drop database postgres');
    await run();
    expect(await ownerNow()).toBe('owner');
    expect((await run()).statements).toBe(0);
    expect(lines.join('')).toContain('it did not exist');
  });

  test('puts one of his own in its place, with the schemas of the bookkeeping: those are moved away', async () => {
    await owner('drop database postgres');
    await owner('create database postgres');
    await owner('create schema neon; create schema neon_migration; create table neon.kept ()', 'postgres');
    await run();
    expect((await run()).statements).toBe(0);
    expect(
      await query(
        cluster.target,
        `select n.nspowner::regrole::text as owner, n.nspname ~ '^neon(_migration)?$' as named, count(c.oid)::int as tables
         from pg_namespace n left join pg_class c on c.relnamespace = n.oid where n.nspname ~ '^neon' group by n.oid order by named, tables`,
      ),
    ).toEqual([
      { owner: 'owner', named: false, tables: 0 },
      { owner: 'owner', named: false, tables: 1 },
      { owner: 'cloud_admin', named: true, tables: 0 },
      { owner: 'cloud_admin', named: true, tables: 0 },
    ]);
  });

  test('attaches settings to it that make each log-in slow: a pass removes them', async () => {
    await owner(
      `do $$ begin execute format('alter database postgres set search_path = %L', repeat('x', 2000000)); end $$`,
    );
    expect((await run()).statements).toBe(0);
    expect(
      await value(cluster.target, 'select count(*)::int from pg_db_role_setting where setrole = 0'),
    ).toBe(0);
    await owner(`alter database postgres set work_mem = '5MB'`);
    await run();
    expect(
      await value(cluster.target, 'select count(*)::int from pg_db_role_setting where setrole = 0'),
    ).toBe(1);
  });

  test('attaches settings to it that no log-in can read in time: they are removed', async () => {
    const options = { target: cluster.target, limits: defaultLimits, signal: never };
    const late = new Error('timeout expired');
    expect(await repairSystemDatabase(options, late)).toBeNull();
    await owner(
      `do $$ begin execute format('alter database postgres set search_path = %L', repeat('x', 2000000)); end $$`,
    );
    expect(await repairSystemDatabase(options, late)).toContain('bytes of settings');
    expect(
      await value(cluster.target, 'select count(*)::int from pg_db_role_setting where setrole = 0'),
    ).toBe(0);
  });

  test('no member of pg_monitor sees a password of the spec while it is set', async () => {
    await query(cluster.target, 'create role watcher login; grant pg_monitor to watcher');
    const holder = await connectPg(
      { ...cluster.target, user: 'maker' },
      { applicationName: 'test', connectMs: 10_000, signal: never },
    );
    await holder.query('begin; create role later');
    const hash = md5('s', 'owner');
    const encrypted = { name: 'owner', encrypted_password: hash };
    const passing = apply(
      cluster,
      inputFor(cluster.target, { ...parts, roles: [encrypted, { name: 'maker' }, { name: 'later' }] }),
    );
    const waiting = `select (select count(*)::int from pg_locks where not granted) as waiting, query
      from pg_stat_activity where application_name = 'compute_ctl:apply_config'`;
    try {
      await expect
        .poll(() => query({ ...cluster.target, user: 'watcher' }, waiting))
        .toEqual([{ waiting: 1, query: expect.not.stringContaining(hash) }]);
    } finally {
      await holder.query('rollback').catch(() => {});
      destroyPg(holder);
      await passing;
    }
  });
});
