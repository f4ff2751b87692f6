import { expect, test } from 'vitest';
import { runPlan } from '../../../src/catalog/render.ts';
import { startCluster } from '../../support/cluster.ts';
import { installedPostgres } from '../../support/postgres-versions.ts';
import { apply, inputFor, md5, never, query, scram, value, withoutWrite } from './support.ts';

const owner = `o"w'n$x$er \\ é`;
const before = {
  roles: [
    { name: owner, encrypted_password: scram('one') },
    { name: 'plain', encrypted_password: md5('two', 'plain') },
    { name: 'old', encrypted_password: md5('three', 'old') },
    { name: 'leaving', encrypted_password: null },
  ],
  databases: [
    { name: `d"a't$$a`, owner },
    { name: 'going', owner: 'plain' },
    {
      name: 'moving',
      owner: 'plain',
      options: [{ name: 'CONNECTION LIMIT', value: '5', vartype: 'integer' }],
    },
  ],
  settings: [{ name: 'shared_preload_libraries', value: 'pg_stat_statements', vartype: 'string' }],
};
const after = {
  ...before,
  operation_uuid: '5f7a2c3e-9d67-4c3f-9a36-0c4f4f1f9a11',
  roles: [
    { name: owner, encrypted_password: scram('changed') },
    { name: 'plain', encrypted_password: md5('two', 'plain') },
    { name: 'new', encrypted_password: md5('three', 'new') },
  ],
  databases: [
    { name: `d"a't$$a`, owner: 'plain' },
    { name: 'moved', owner },
  ],
  delta_operations: [
    { action: 'rename_role', name: 'old', new_name: 'new' },
    { action: 'rename_db', name: 'moving', new_name: 'moved' },
    { action: 'delete_db', name: 'going' },
    { action: 'delete_role', name: 'leaving' },
  ],
  drop_subscriptions_before_start: true,
};

test.each(installedPostgres())(
  'PostgreSQL $major: every phase, twice, and the second time without a write',
  async (postgres) => {
    const conf =
      'log_statement=mod\nshared_preload_libraries=pg_stat_statements\nautovacuum=off\nmax_logical_replication_workers=0';
    const cluster = await startCluster({ postgres, conf });
    try {
      const again = async (parts: typeof before): Promise<void> => {
        const input = inputFor(cluster.target, parts);
        await withoutWrite(cluster, async () => {
          const { statements, outcomes } = await apply(cluster, input);
          expect([statements, outcomes.filter(({ result }) => result !== 'skipped')]).toEqual([0, []]);
          const plan = await runPlan(input, { target: cluster.target, signal: never, json: false });
          expect(plan.exitCode).toBe(0);
        });
      };
      await apply(cluster, inputFor(cluster.target, before));
      await again(before);
      await query(
        { ...cluster.target, database: 'moving' },
        `create subscription s connection 'host=/nowhere' publication p with (connect = false);
      create table public.kept (a int); alter table public.kept owner to leaving`,
      );
      const plan = await runPlan(inputFor(cluster.target, after), {
        target: cluster.target,
        signal: never,
        json: true,
      });
      expect(plan.exitCode).toBe(3);
      expect(plan.text).not.toMatch(/SCRAM-SHA-256|md5[0-9a-f]{32}/);
      const { outcomes } = await apply(cluster, inputFor(cluster.target, after));
      expect(outcomes.filter(({ result }) => result === 'failed' || result === 'not reached')).toEqual([]);
      await again(after);
      const roles = await query(
        cluster.target,
        `select rolname from pg_roles where oid >= 16384 order by rolname collate "C"`,
      );
      expect(roles.map((row) => row['rolname'])).toEqual(['neon_superuser', 'new', owner, 'plain']);
      const databases = await query(
        cluster.target,
        `select datname, pg_get_userbyid(datdba) as owner from pg_database where oid >= 16384 order by 1`,
      );
      expect(databases).toEqual([
        { datname: `d"a't$$a`, owner: 'plain' },
        { datname: 'moved', owner },
      ]);
      const kept = `select pg_get_userbyid(relowner) from pg_class where relname = 'kept'`;
      expect(await value({ ...cluster.target, database: 'moved' }, kept)).toBe(owner);
      expect(await query(cluster.target, 'select from pg_subscription')).toEqual([]);
    } finally {
      await cluster.stop();
    }
  },
);
