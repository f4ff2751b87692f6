import { checks } from 'virtual:migrations';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type MigrationDeps, migrate } from '../../../src/catalog/migrate.ts';
import { migrations, parseMigration } from '../../../src/catalog/migration.ts';
import { type Cluster, startCluster } from '../../support/cluster.ts';
import { installedPostgres } from '../../support/postgres-versions.ts';
import { apply, inputFor, never, query, silent, value, withoutWrite } from './support.ts';

const deps = (cluster: Cluster, more: Partial<MigrationDeps> = {}): MigrationDeps => ({
  target: cluster.target,
  privilegedRole: 'neon_superuser',
  log: silent,
  signal: never,
  ...more,
});
const recorded = (cluster: Cluster) =>
  value(cluster.target, 'select id::int from neon_migration.migration_id');
const runs = migrations.filter(({ skip }) => !skip);

test('every migration that runs has a check beside it, and the numbers have no gap', () => {
  expect(checks.map(({ id }) => id)).toEqual(runs.map(({ id }) => id));
  expect(migrations.map(({ id }) => id)).toEqual(migrations.map((_, at) => at + 1));
});

describe.each(installedPostgres())('PostgreSQL $major', (postgres) => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({ postgres });
    await apply(cluster, inputFor(cluster.target, { roles: [{ name: 'member' }] }));
    await query(cluster.target, 'create role stray bypassrls; alter role member noinherit');
  });
  afterAll(() => cluster.stop());

  test('all migrations run once, and every check holds', async () => {
    const { ran, current } = await migrate(migrations, deps(cluster));
    expect(ran).toEqual(runs.filter(({ needs }) => needs <= postgres.major).map(({ id }) => id));
    expect(current).toBe(migrations.length);
    expect(await recorded(cluster)).toBe(migrations.length);
    const options = '-c compute_ctl.privileged_role=neon_superuser';
    for (const { id, text } of checks) {
      expect([id, await value({ ...cluster.target, options }, text)]).toEqual([id, true]);
    }
    await withoutWrite(cluster, async () => {
      expect(await migrate(migrations, deps(cluster))).toEqual({ ran: [], current: migrations.length });
    });
    expect(
      await query(
        cluster.target,
        `select rolname, rolinherit, rolbypassrls from pg_roles where rolname in ('member', 'stray') order by 1`,
      ),
    ).toEqual([
      { rolname: 'member', rolinherit: true, rolbypassrls: true },
      { rolname: 'stray', rolinherit: true, rolbypassrls: false },
    ]);
  });
});

describe('bookkeeping', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster();
    await apply(cluster, inputFor(cluster.target, {}));
  });
  afterAll(() => cluster.stop());

  test('a migration whose bookkeeping fails is undone and tried again', async () => {
    await expect(migrate(migrations, deps(cluster, { failAt: 4 }))).rejects.toMatchObject({
      migrationId: 4,
      message: 'migration 0004-monitor failed with SQLSTATE 22012 and was rolled back',
    });
    expect(await recorded(cluster)).toBe(3);
    const member = `select pg_has_role('neon_superuser', 'pg_monitor', 'member')`;
    expect(await value(cluster.target, member)).toBe(false);
    await migrate(migrations, deps(cluster));
    expect(await recorded(cluster)).toBe(migrations.length);
    expect(await value(cluster.target, member)).toBe(true);
  });

  test('what needs a newer server is put off, and made up for once the server is new enough', async () => {
    const files = [
      {
        id: migrations.length + 1,
        name: '0013-later',
        text: '-- Needs: PostgreSQL 99\ncreate table public.later ()',
      },
    ];
    const [later] = files.map(parseMigration);
    if (later === undefined) throw new Error('unreachable');
    expect(await migrate([...migrations, later], deps(cluster))).toEqual({ ran: [], current: later.id });
    expect(await migrate([...migrations, { ...later, needs: 14 }], deps(cluster))).toEqual({
      ran: [later.id],
      current: later.id,
    });
    expect(await migrate([...migrations, { ...later, needs: 14 }], deps(cluster))).toEqual({
      ran: [],
      current: later.id,
    });
    expect(await value(cluster.target, `select to_regclass('public.later')::text`)).toBe('later');
  });

  test('two runners at once run each migration once', async () => {
    await query(cluster.target, 'create table public.counted (at timestamptz)');
    const counting = parseMigration({
      id: 14,
      name: '0014-counting',
      text: 'insert into public.counted values (now())',
    });
    await Promise.all([1, 2, 3].map(() => migrate([counting], deps(cluster))));
    expect(await value(cluster.target, 'select count(*)::int from public.counted')).toBe(1);
  });

  test('a bookkeeping table of a user is refused', async () => {
    await query(cluster.target, 'create role mallory; alter table neon_migration.deferred owner to mallory');
    await expect(migrate(migrations, deps(cluster))).rejects.toMatchObject({
      message: expect.stringContaining('not a superuser'),
    });
  });
});
