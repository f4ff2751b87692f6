import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Cluster, startCluster } from '../../support/cluster.ts';
import { installedPostgres } from '../../support/postgres-versions.ts';
import { migrateAll } from './migrate-all.ts';
import { apply, inputFor, query, scram, value } from './support.ts';

/** All of it is open to the owner of a database. */
const settings = [
  `local_preload_libraries = 'there is no such library'`,
  'idle_session_timeout = 1',
  'idle_in_transaction_session_timeout = 1',
  'statement_timeout = 1',
  'lock_timeout = 1',
  `role = 'ann'`,
  `session_authorization = 'ann'`,
  'default_transaction_read_only = on',
  `default_transaction_isolation = 'serializable'`,
  'default_transaction_deferrable = on',
  `search_path = 'public'`,
  `client_encoding = 'LATIN1'`,
  `DateStyle = 'SQL, DMY'`,
  `TimeZone = 'Asia/Tokyo'`,
  'standard_conforming_strings = off',
  'quote_all_identifiers = on',
  'transform_null_equals = on',
  `default_table_access_method = 'none such'`,
  'client_min_messages = debug5',
  'debug_print_parse = on',
  'row_security = off',
];

describe.each(installedPostgres())('PostgreSQL $major', (postgres) => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({ postgres });
  });
  afterAll(() => cluster.stop());

  test('a system database that its owner closed to everybody is opened again', async () => {
    const parts = { roles: [{ name: 'owner' }], databases: [{ name: 'postgres', owner: 'owner' }] };
    await apply(cluster, inputFor(cluster.target, parts));
    const elsewhere = { ...cluster.target, user: 'owner', database: 'template1' };
    await query(elsewhere, 'alter database postgres allow_connections false');
    await expect(query(cluster.target, 'select')).rejects.toThrow();
    expect((await apply(cluster, inputFor(cluster.target, parts))).statements).toBe(0);
    expect(await value(cluster.target, 'select 1')).toBe(1);
    await query(cluster.target, 'alter database postgres owner to cloud_admin');
  });

  test('no setting that the owner of a database attaches to it ends a pass or changes what it does', async () => {
    const until = { name: 'VALID UNTIL', value: '2031-02-03 04:05:06+02', vartype: 'string' };
    const parts = {
      roles: [{ name: 'ann', options: [until] }, { name: 'leaving' }],
      databases: ['postgres', 'shop'].map((name) => ({ name, owner: 'ann' })),
    };
    await apply(cluster, inputFor(cluster.target, parts));
    for (const database of ['postgres', 'shop']) {
      for (const setting of [...settings, ...(postgres.major >= 17 ? ['transaction_timeout = 1'] : [])]) {
        const ann = { ...cluster.target, user: 'ann', database: 'template1' };
        await query(ann, `alter database ${database} set ${setting}`);
      }
    }
    const input = inputFor(cluster.target, parts);
    const known = { target: { ...cluster.target, major: postgres.major } };
    expect((await apply(cluster, { ...input, verify: true }, known)).statements).toBe(0);
    const next = inputFor(cluster.target, {
      roles: [{ ...parts.roles[0], encrypted_password: scram(`it's "\\`) }, { name: `o'new "\\` }],
      databases: [...parts.databases, { name: `d'new "\\`, owner: `o'new "\\` }],
      delta_operations: [{ action: 'delete_role', name: 'leaving' }],
      drop_subscriptions_before_start: true,
    });
    await apply(cluster, next, known);
    expect((await apply(cluster, next, known)).statements).toBe(0);
    const { target } = cluster;
    await migrateAll(target, known);
    expect(cluster.log()).not.toContain(scram(`it's "\\`));
    const quiet = { ...target, database: 'template1' };
    expect(await value(quiet, 'select count(*)::int from pg_roles where rolname like $1', [`o'new%`])).toBe(
      1,
    );
  });
});
