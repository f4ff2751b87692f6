import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import { type Cluster, startCluster } from '../../../support/cluster.ts';
import { movable, ownInstallation } from '../../../support/own-installation.ts';
import { installedPostgres } from '../../../support/postgres-versions.ts';
import { apply, inputFor, query } from '../support.ts';

let it: Cluster | null = null;
afterEach(async () => {
  await it?.stop();
  it = null;
});

const roles = `
  select r.rolname as name, r.rolsuper as super, r.rolreplication as replication, r.rolcanlogin as login,
    pg_has_role(r.oid, 'pg_monitor', 'usage') as monitor, r.rolconfig as config
  from pg_roles r where r.rolname like 'databricks%' or r.rolname = 'databricks_superuser' order by 1`;

describe.each(installedPostgres())('PostgreSQL $major', (postgres) => {
  test('lakebase mode has its roles, limits its readers, and writes nothing the second time', async () => {
    it = await startCluster({
      postgres,
      conf: `databricks.reader_statement_timeout = '7s'\nautovacuum = off`,
    });
    const { target } = it;
    await query(target, 'create role databricks_reader_12 login');
    await query(target, 'create role databricks_reader_twelve login');
    const input = inputFor(target, {}, { lakebase: true, privilegedRole: 'databricks_superuser' });
    await apply(it, input);
    expect(await query(target, roles)).toMatchObject([
      { name: 'databricks_control_plane', super: true, login: true },
      { name: 'databricks_gateway', super: false, login: true, monitor: false },
      { name: 'databricks_monitor', super: false, login: true, monitor: true },
      { name: 'databricks_reader_12', config: ['statement_timeout=7s'] },
      { name: 'databricks_reader_twelve', config: null },
      { name: 'databricks_superuser', replication: false, login: false },
    ]);
    // Whoever writes takes a number.
    const next = (): Promise<unknown> =>
      query(target, 'select pg_snapshot_xmax(pg_current_snapshot())::text as xid');
    const before = await next();
    await apply(it, input);
    expect(await next()).toEqual(before);
  });
});

const metrics = `
  create function databricks_auth_count() returns int language sql as 'select 1';
  create view databricks_auth_metrics as select databricks_auth_count() as n;`;

test.each(movable())(
  'PostgreSQL $major gets databricks_auth, and pg_monitor may read it',
  async (postgres) => {
    const own = ownInstallation(postgres);
    onTestFinished(() => own.remove());
    writeFileSync(
      join(own.share, 'databricks_auth.control'),
      `default_version = '1.0'\nrelocatable = true\n`,
    );
    writeFileSync(join(own.share, 'databricks_auth--1.0.sql'), metrics);
    it = await startCluster({ postgres: own.postgres });
    await apply(it, inputFor(it.target, {}, { lakebase: true, privilegedRole: 'databricks_superuser' }));
    const may = `select has_table_privilege('pg_monitor', 'public.databricks_auth_metrics', 'select') as may`;
    expect(await query(it.target, may)).toEqual([{ may: true }]);
  },
);

test('without lakebase mode there are no such roles', async () => {
  it = await startCluster();
  await apply(it, inputFor(it.target, {}));
  expect(await query(it.target, `select 1 from pg_roles where rolname like 'databricks%'`)).toEqual([]);
});
