import type { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CatalogInput } from '../../../src/catalog/input.ts';
import { migrations } from '../../../src/catalog/migration.ts';
import { observe } from '../../../src/catalog/observe.ts';
import type { Observed } from '../../../src/catalog/observed.ts';
import { defaultLimits, openSession } from '../../../src/catalog/session.ts';
import { type Cluster, startCluster } from '../../support/cluster.ts';
import { installedPostgres } from '../../support/postgres-versions.ts';
import { migrateAll } from './migrate-all.ts';
import { apply, inputFor, never, query, scram, type SpecParts, timeline, value } from './support.ts';

const versions = installedPostgres();
const operation = {
  operation_uuid: '5f7a2c3e-9d67-4c3f-9a36-0c4f4f1f9a11',
  delta_operations: [{ action: 'delete_db', name: 'gone' }],
};

describe.each([versions[0], versions.at(-1)].filter((one) => one !== undefined))(
  'PostgreSQL $major',
  (postgres) => {
    let cluster: Cluster;
    const limits = { connectMs: 10_000, statementMs: 120_000 };
    const run = (parts: SpecParts) => apply(cluster, inputFor(cluster.target, parts));
    const migrateBounded = () => migrateAll(cluster.target, { limits });
    const as = (user: string, text: string, database = 'postgres'): Promise<unknown> =>
      query({ ...cluster.target, user, database }, text);
    const admin = (text: string): Promise<unknown> => query(cluster.target, text);
    /** What one look at the server costs in bytes received. */
    const observed = async (input: CatalogInput): Promise<{ found: Observed; bytes: number }> => {
      const client = await openSession({ target: cluster.target, limits: defaultLimits, signal: never });
      try {
        const { stream } = (client as unknown as { connection: { stream: Readable } }).connection;
        let bytes = 0;
        stream.on('data', (chunk: Buffer) => void (bytes += chunk.length));
        const found = await observe(client, input);
        expect(bytes).toBeGreaterThan(500);
        return { found, bytes };
      } finally {
        await client.end();
      }
    };

    beforeAll(async () => {
      cluster = await startCluster({ postgres });
      await run({ roles: [{ name: 'ann' }], drop_subscriptions_before_start: true, ...operation });
      await migrateBounded();
    });
    afterAll(() => cluster.stop());

    test('verifiers of any length are not read, and give way to that of the spec', async () => {
      const roles = ['v1', 'v2', 'v3'].map((name) => ({ name, encrypted_password: scram(name) }));
      await run({ roles });
      await admin(`update pg_authid set rolpassword = 'SCRAM-SHA-256$4096:' || repeat('A', ${postgres.major >= 18 ? 200_000 : 20_000_000}) || '$A:A'
      where rolname in ('v1', 'v2', 'v3')`);
      const { found, bytes } = await observed(inputFor(cluster.target, { roles }));
      expect(found.roles.get('v1')?.password?.reveal()).toBe('');
      expect(bytes).toBeLessThan(20_000);
      await run({ roles });
      expect(await value(cluster.target, `select rolpassword from pg_authid where rolname = 'v3'`)).toBe(
        scram('v3'),
      );
      expect((await run({ roles })).statements).toBe(0);
    });

    test('a verifier of the spec that is longer than any other is recognised', async () => {
      const [, , salt = '', ...rest] = /^(.*4096:)(.*?)(\$.*)$/.exec(scram('s')) ?? [];
      const long = scram('s').replace(salt, 'QUJD'.repeat(postgres.major >= 18 ? 90 : 400));
      expect(rest).toHaveLength(1);
      const roles = [{ name: 'salted', encrypted_password: long }];
      await run({ roles });
      expect((await run({ roles })).statements).toBe(0);
    });

    test('rows and values that a member of pg_write_all_data puts into the bookkeeping end no pass', async () => {
      await as(
        'ann',
        `update neon_migration.operation_done set digest = repeat('x', 50000000);
       insert into neon_migration.operation_done select n, 'y' from generate_series(1, 100000) n;
       update neon.drop_subscriptions_done set timeline_id = repeat('z', 50000000);
       insert into neon.drop_subscriptions_done (id, timeline_id) select -n, repeat('z', 100) from generate_series(1, 100000) n;
       insert into neon_migration.migration_id select n, n from generate_series(1, 100000) n;
       insert into neon_migration.deferred select -n from generate_series(1, 100000) n`,
      );
      const parts = { roles: [{ name: 'ann' }], drop_subscriptions_before_start: true, ...operation };
      const { found, bytes } = await observed(inputFor(cluster.target, parts));
      expect(found.bookkeeping).toEqual({
        operationsDone: null,
        operationsDoneAlone: new Set(),
        subscriptionsDroppedOn: null,
        subscriptionsLeftIn: new Set(),
      });
      expect(bytes).toBeLessThan(20_000);
      await run(parts);
      const kept = await observed(inputFor(cluster.target, parts));
      expect(kept.found.bookkeeping.subscriptionsDroppedOn).toBe(timeline);
      expect(kept.found.bookkeeping.operationsDone).toMatch(/^[0-9a-f]{64}$/);
      expect((await run(parts)).statements).toBe(0);
      expect(await migrateBounded()).toEqual({ ran: [], current: migrations.length });
    });

    test('no number that a member of pg_write_all_data gives to the migrations counts, once there is a record of ours', async () => {
      const all = { ran: [], current: migrations.length };
      for (const id of ['-1', '0', '3000000000', '9223372036854775807']) {
        await as('ann', `update neon_migration.migration_id set id = ${id} where key = 0`);
        expect(await migrateBounded()).toEqual(all);
      }
      await as('ann', 'delete from neon_migration.migration_id');
      await as('ann', 'insert into neon_migration.deferred values (3), (10) on conflict do nothing');
      expect(await migrateBounded()).toEqual(all);
      await expect(
        as('ann', `comment on table neon_migration.migration_id is 'migrations: 0'`),
      ).rejects.toThrow();
    });

    test('a number of a migration that cannot be ours is named, and no pass depends on it', async () => {
      for (const id of ['-1', '3000000000', '9223372036854775807']) {
        await admin(`comment on table neon_migration.migration_id is null;
          insert into neon_migration.migration_id values (0, ${id}) on conflict (key) do update set id = excluded.id`);
        await expect(migrateBounded()).rejects.toMatchObject({
          message: expect.stringContaining(`contains ${id}`),
        });
        expect((await run({ roles: [{ name: 'ann' }] })).statements).toBe(0);
      }
      await admin('delete from neon_migration.migration_id');
      expect((await migrateBounded()).current).toBe(migrations.length);
    });

    test('a long setting of the system database is not read beyond a bound', async () => {
      await admin(`do $$ begin execute format('alter database postgres set pgaudit.log = %L', repeat('x', 5000000));
      execute format('alter database postgres set own.thing = %L', repeat('x', 5000000)); end $$`);
      for (const level of ['Disabled', 'Log']) {
        const { found, bytes } = await observed(inputFor(cluster.target, { audit_log_level: level }));
        expect(found.auditOfSystem).toBe(level === 'Log' ? 'x'.repeat(64) : null);
        expect(bytes).toBeLessThan(20_000);
      }
      await run({});
      await admin('alter database postgres reset all');
    });
  },
);
