import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { migrations } from '../../../src/catalog/migration.ts';
import { runPlan } from '../../../src/catalog/render.ts';
import { defaultLimits, openSession } from '../../../src/catalog/session.ts';
import { mustAcceptConnections } from '../../../src/database/alive.ts';
import { readDbsAndRoles } from '../../../src/database/dbs-and-roles.ts';
import { grantOnSchema } from '../../../src/database/grants.ts';
import { collectInsights } from '../../../src/database/insights.ts';
import { installExtension } from '../../../src/database/install-extension.ts';
import { Writability } from '../../../src/database/writability.ts';
import { ActivityConnection, FreshConnection } from '../../../src/monitor/checks.ts';
import { parseConnstr } from '../../../src/pg/connstr.ts';
import { reloadAndWait } from '../../../src/pg/reload.ts';
import { judgeFiles } from '../../../src/postgres/conf-in-force.ts';
import type { PgTarget } from '../../../src/pg/target.ts';
import { type Cluster, startCluster } from '../../support/cluster.ts';
import { installedPostgres } from '../../support/postgres-versions.ts';
import { migrateAll } from './migrate-all.ts';
import { apply, inputFor, md5, never, query, scram, silent, value } from './support.ts';
import { eventTriggers, onTable, traps } from './trap-sql.ts';

const before = {
  roles: [{ name: 'ann' }, { name: 'old', encrypted_password: md5('s', 'old') }, { name: 'leaving' }],
  databases: ['trapped', 'moving', 'going'].map((name) => ({ name, owner: 'ann' })),
};
const after = {
  operation_uuid: '5f7a2c3e-9d67-4c3f-9a36-0c4f4f1f9a11',
  roles: [
    {
      name: 'ann',
      encrypted_password: scram('s'),
      options: [{ name: 'CONNECTION LIMIT', value: '40', vartype: 'integer' }],
    },
    { name: 'new', encrypted_password: md5('s', 'new') },
    { name: 'fresh' },
  ],
  databases: [
    { name: 'trapped', owner: 'new' },
    { name: 'moved', owner: 'ann' },
    { name: 'made', owner: 'fresh' },
  ],
  delta_operations: [
    { action: 'rename_role', name: 'old', new_name: 'new' },
    { action: 'rename_db', name: 'moving', new_name: 'moved' },
    { action: 'delete_db', name: 'going' },
    { action: 'delete_role', name: 'leaving' },
    { action: 'delete_role', name: 'dba' },
  ],
  settings: [{ name: 'shared_preload_libraries', value: 'pg_stat_statements', vartype: 'string' }],
  drop_subscriptions_before_start: true,
};
const conf =
  "shared_preload_libraries=pg_stat_statements\nautovacuum=off\nmax_logical_replication_workers=0\nlc_messages='C'";

describe.each(installedPostgres())('PostgreSQL $major: in databases full of traps', (postgres) => {
  let cluster: Cluster;
  /** As the program gets it: with the options that every session of ours has. */
  let ours: PgTarget;
  /** For the test's own statements, which must not spring anything either. */
  let careful: PgTarget;
  const sprung = (): string[] => cluster.log().match(/SPRUNG .*/g) ?? [];
  const lay = async (database: string): Promise<void> => {
    for (const trap of traps) await query({ ...careful, database }, trap);
  };

  beforeAll(async () => {
    cluster = await startCluster({ postgres, conf });
    ours = parseConnstr(`postgresql://cloud_admin@127.0.0.1:${cluster.port}/postgres`);
    careful = {
      ...cluster.target,
      options: '-c search_path=pg_catalog -c role=cloud_admin -c session_replication_role=replica',
    };
    // What is in template1 is in every database that is made from it.
    await lay('template1');
    await lay('postgres');
    await query(
      careful,
      'create role dba superuser; create role fresher; grant fresher to dba with admin option',
    );
    await query(careful, 'set role dba; create role friend; grant fresher to friend');
    await apply(cluster, inputFor(cluster.target, before));
    await migrateAll(cluster.target);
    for (const database of ['trapped', 'moving', 'going']) {
      await query(
        { ...careful, database },
        `create subscription ${database} connection 'host=/nowhere' publication p with (connect = false);
         create table public.mine (a pg_catalog.int4); create view public.seen as select public.sprung('view') as a;
         alter table public.mine owner to leaving; alter view public.seen owner to leaving;
         grant select on public.mine to neon_superuser with grant option;
         create table public.of_ann (a pg_catalog.int4); alter table public.of_ann owner to ann;
         grant select on public.of_ann to old with grant option; grant select (a) on public.of_ann to fresher;
         set role old; grant select on public.of_ann to leaving, dba with grant option;
         set role leaving; grant select on public.of_ann to fresher with grant option;
         set role dba; create function public.of_dba() returns event_trigger language plpgsql as 'begin end';
         create event trigger of_dba on ddl_command_end execute function public.of_dba(); alter event trigger of_dba disable;
         create publication of_dba for all tables`,
      );
    }
    const path = `search_path = public, cloud_admin, """''""", pg_catalog`;
    for (const database of ['postgres', 'trapped', 'moving', 'going', 'template1']) {
      await query(
        { ...careful, database },
        `alter database ${database} set ${path}; alter database ${database} set role = ann`,
      );
    }
    await query(
      careful,
      `alter role cloud_admin set ${path}; alter role cloud_admin in database trapped set ${path}`,
    );
  });
  afterAll(() => cluster.stop());

  test('the traps do spring under a careless session', async () => {
    const careless = { ...careful, options: '-c role=cloud_admin -c search_path=public,pg_catalog' };
    await query(careless, `select from pg_roles`).catch(() => {});
    await query(careless, `select current_database()`).catch(() => {});
    await query(careless, `select 1::int4 = 2::int4`).catch(() => {});
    await query(careless, `select 'x'::text`).catch(() => {});
    expect(new Set(sprung())).toEqual(
      new Set([
        'SPRUNG view pg_roles',
        'SPRUNG function current_database',
        'SPRUNG operator =',
        'SPRUNG domain int4',
        'SPRUNG domain text',
      ]),
    );
  });

  test('no trap runs during the plan, a pass of every phase, a pass without work and the migrations', async () => {
    const count = sprung().length;
    for (const database of ['postgres', 'trapped', 'moving', 'going', 'template1']) {
      await query({ ...careful, database }, eventTriggers(postgres.major));
    }
    await query(careful, onTable('neon_migration.migration_id', 'id', 'pg_catalog.int8'));
    await query(careful, 'update neon_migration.migration_id set id = 0; drop table neon_migration.deferred');
    const knowing = { ...cluster.target, major: postgres.major };
    const input = inputFor(cluster.target, after);
    const plan = await runPlan(input, { target: cluster.target, signal: never, json: false });
    expect(plan.exitCode).toBe(3);
    // Each phase has something to do.
    for (const phase of [
      'drop-subscriptions-of-deleted',
      'rename-roles',
      'roles',
      'passwords',
      'rename-and-delete-databases',
      'databases',
      'delete-role-references',
      'schema-permissions',
      'drop-subscriptions',
      'extensions',
      'drop-roles',
      'record-operation',
    ])
      expect(plan.text).toContain(`-- ${phase},`);
    const { outcomes } = await apply(cluster, input, { target: knowing });
    expect(outcomes.filter(({ result }) => result !== 'done' && result !== 'skipped')).toEqual([]);
    expect((await apply(cluster, { ...input, verify: true }, { target: knowing })).statements).toBe(0);
    await migrateAll(knowing);
    expect(await value(careful, `select id::int4 from neon_migration.migration_id`)).toBe(migrations.length);
    expect(sprung().slice(count)).toEqual([]);
    for (const database of ['postgres', 'trapped', 'moved', 'template1', 'made']) {
      const names = await query<{ name: string }>(
        { ...careful, database },
        'select evtname as name from pg_event_trigger',
      );
      for (const { name } of names) await query({ ...careful, database }, `drop event trigger ${name}`);
    }
  });

  test('no trap runs for a route, the monitor or a reload', async () => {
    const count = sprung().length;
    await mustAcceptConnections(ours, never);
    const { roles } = await readDbsAndRoles(ours, silent, never);
    expect(roles.map(({ name }) => name)).toContain('fresh');
    await grantOnSchema(
      { database: 'trapped', schema: 'public', privileges: ['USAGE', 'CREATE'], role: 'ann' },
      ours,
      never,
    );
    expect(await collectInsights(ours, pino({ level: 'silent' }), never)).toContain('pg_stat_statements');
    await installExtension({ database: 'trapped', extension: 'plpgsql', version: '1.0' }, ours, never);
    await new Writability({ target: ours, log: silent }).check(never);
    const file = join(cluster.dataDir, 'postgresql.conf');
    const intact = readFileSync(file);
    appendFileSync(file, "\nmax_connections=51\npg_stat_statements.track='bogus'\n");
    await reloadAndWait(
      ours,
      () => void cluster.postmaster.kill('SIGHUP'),
      never,
      async (pg) => {
        const { unusable, pending } = await judgeFiles(pg, () => Promise.resolve([]));
        expect([unusable.map(({ error }) => error), pending.map(({ name }) => name)]).toEqual([
          [expect.stringContaining('"bogus"')],
          ['max_connections'],
        ]);
      },
    );
    writeFileSync(file, intact);
    const limits = { connectMs: 10_000, queryMs: 10_000 };
    await new FreshConnection(ours, limits).try(never);
    const kept = new ActivityConnection(ours, limits);
    await kept.look(true, never);
    kept.close();
    expect(sprung().slice(count)).toEqual([]);
  });

  test('a temporary table does not come before a catalog of the same name', async () => {
    const session = await openSession({ target: ours, limits: defaultLimits, signal: never });
    try {
      await session.query('create temporary table pg_class (a pg_catalog.int4)');
      const { rows } = await session.query(`select 'pg_class'::pg_catalog.regclass = 1259 as catalog`);
      expect(rows).toEqual([{ catalog: true }]);
    } finally {
      await session.end();
    }
  });
});
