import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { migrations } from '../../../src/catalog/migration.ts';
import { type PgClient, connectPg, destroyPg } from '../../../src/pg/client.ts';
import { type Cluster, startCluster } from '../../support/cluster.ts';
import { installedPostgres, isOldestOrNewest, oldestAndNewest } from '../../support/postgres-versions.ts';
import { migrateAll } from './migrate-all.ts';
import { apply, inputFor, never, query, scram, silent } from './support.ts';

const parts = {
  // Before PostgreSQL 16 a role with REPLICATION cannot change its own password.
  roles: [{ name: 'ann' }, { name: 'carl', options: [{ name: 'NOREPLICATION', vartype: 'bool' }] }],
  databases: [{ name: 'own', owner: 'ann' }],
  operation_uuid: '5f7a2c3e-9d67-4c3f-9a36-0c4f4f1f9a11',
  delta_operations: [{ action: 'delete_db', name: 'gone' }],
  drop_subscriptions_before_start: true,
};

/** What a role of the spec may hold, for as long as it likes. */
const holds = [
  'begin; lock table neon_migration.operation_done in access exclusive mode',
  'begin; lock table neon_migration.migration_id in access exclusive mode',
  'begin; lock table neon.drop_subscriptions_done in access exclusive mode',
];
const prepared = [
  `begin; lock table neon_migration.operation_done in access exclusive mode; prepare transaction 'it''s \\ "one"'`,
];

/** In nobody's way. */
const unrelated = `begin; select pg_advisory_xact_lock(1, 1); select from pg_authid, pg_database; prepare transaction 'unrelated'`;

describe.each(installedPostgres())('PostgreSQL $major', (postgres) => {
  let cluster: Cluster;
  const held: PgClient[] = [];
  const run = (log = silent) =>
    apply(cluster, inputFor(cluster.target, parts), { log, limits: { lockMs: 20_000 } });
  const hold = async (text: string, user = 'ann'): Promise<void> => {
    const client = await connectPg(
      { ...cluster.target, user },
      { applicationName: 'test', connectMs: 10_000, signal: never },
    );
    held.push(client);
    await client.query(text);
  };

  beforeAll(async () => {
    cluster = await startCluster({ postgres, conf: 'max_prepared_transactions=5' });
    await run();
    await migrateAll(cluster.target);
  });
  beforeEach(() => {
    for (const client of held.splice(0)) destroyPg(client);
  });
  afterAll(() => cluster.stop());

  test('no lock that a role of the spec holds keeps a pass or the migrations from running', async () => {
    for (const text of holds) await hold(text);
    expect((await run()).statements).toBe(0);
    expect(await migrateAll(cluster.target)).toEqual({ ran: [], current: migrations.length });
  });

  // It takes ten seconds.
  test.runIf(isOldestOrNewest(postgres))(
    'no open or prepared change of a role or database of the spec keeps a pass from changing it',
    async () => {
      await hold(`begin; alter role carl password 'mine'`, 'carl');
      await query(
        { ...cluster.target, user: 'ann' },
        `begin; alter database own connection limit 5; prepare transaction 'four'`,
      );
      await query({ ...cluster.target, user: 'ann' }, unrelated);
      await apply(
        cluster,
        inputFor(cluster.target, {
          roles: [{ name: 'carl', encrypted_password: scram('new') }, { name: 'bob' }],
          databases: [{ name: 'own', owner: 'bob' }],
        }),
      );
      await apply(
        cluster,
        inputFor(cluster.target, { ...parts, databases: [{ name: 'own', owner: 'ann' }] }),
      );
      const left = await query(cluster.target, 'select gid from pg_prepared_xacts');
      expect(left).toEqual([{ gid: 'unrelated' }]);
      await query({ ...cluster.target, user: 'ann' }, `rollback prepared 'unrelated'`);
    },
  );

  test.runIf(isOldestOrNewest(postgres))(
    'nor does a name that a prepared transaction of another database holds, not even when that database is closed',
    async () => {
      const maker = { ...cluster.target, user: 'maker', database: 'own' };
      await query(
        cluster.target,
        'create role maker login createrole; grant connect on database own to maker',
      );
      await query(maker, `begin; create role next1; prepare transaction 'elsewhere'`);
      await query(maker, `begin; create role next2; prepare transaction 'closed'`);
      await query({ ...cluster.target, user: 'ann' }, 'alter database own allow_connections false');
      const names = ['next1', 'next2'];
      await apply(cluster, inputFor(cluster.target, { roles: names.map((name) => ({ name })) }));
      expect(
        await query(
          cluster.target,
          `select datallowconn as open, (select count(*)::int from pg_roles where rolname = any ($1)) as roles,
           (select count(*)::int from pg_prepared_xacts) as left from pg_database where datname = 'own'`,
          [names],
        ),
      ).toEqual([{ open: false, roles: 2, left: 0 }]);
      await query(cluster.target, 'alter database own allow_connections true');
    },
  );

  test.runIf(postgres.major === oldestAndNewest().at(-1)?.major)(
    'nobody who has read the list of subscriptions keeps a pass from dropping them',
    async () => {
      const own = { ...cluster.target, database: 'own' };
      await query(
        own,
        `create subscription s connection 'host=/nowhere' publication p with (connect = false)`,
      );
      await query(
        { ...own, user: 'ann' },
        `begin; select subname from pg_subscription; prepare transaction 'read'`,
      );
      await hold('begin; select subname from pg_subscription');
      await apply(cluster, { ...inputFor(cluster.target, parts), timelineId: '1'.repeat(32) });
      expect(await query(cluster.target, 'select from pg_subscription')).toEqual([]);
      // Back to the timeline of the other tests.
      await run();
    },
  );

  test('nor does one that is held by a prepared transaction, which outlives a restart', async () => {
    const lines: string[] = [];
    for (const text of prepared) await query({ ...cluster.target, user: 'ann' }, text);
    await query({ ...cluster.target, user: 'ann' }, unrelated);
    const log = pino({}, { write: (line: string) => void lines.push(line) });
    expect((await run(log)).statements).toBe(0);
    expect(await query(cluster.target, 'select gid from pg_prepared_xacts')).toEqual([{ gid: 'unrelated' }]);
    expect(lines.join('')).toContain('ending a transaction that blocks compute_ctl');
  });
});
