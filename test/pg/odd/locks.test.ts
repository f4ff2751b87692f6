import type { QueryConfig } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { never } from '../../../src/core/abort.ts';
import { endingStrangers } from '../../../src/catalog/evict.ts';
import type { CatalogInput } from '../../../src/catalog/input.ts';
import type { CatalogFailure } from '../../../src/catalog/result.ts';
import { defaultLimits } from '../../../src/catalog/session.ts';
import { type PgClient, destroyPg } from '../../../src/pg/client.ts';
import { type Cluster, startCluster } from '../../support/cluster.ts';
import { installedPostgres } from '../../support/postgres-versions.ts';
import { eventually } from '../../support/program.ts';
import { migrateAll } from '../catalog/migrate-all.ts';
import { apply, inputFor, query } from '../catalog/support.ts';
import { alive, hold } from './occupy.ts';

const versions = [installedPostgres()[0], installedPostgres().at(-1)].filter((one) => one !== undefined);

describe.each(versions)('PostgreSQL $major', (postgres) => {
  let cluster: Cluster;
  const held: PgClient[] = [];
  const sql = (text: string, database = 'postgres') => query({ ...cluster.target, database }, text);
  const holding = async (text: string, user = 'ann', database = 'postgres', name = 'holder') => {
    const client = await hold({ ...cluster.target, user, database }, text, name);
    held.push(client);
    return client;
  };
  /** A statement that goes on for as long as the test likes. */
  const busy = async (user: string, name: string) => {
    const client = await hold({ ...cluster.target, user }, 'select', name);
    held.push(client);
    let ended = false;
    void client.query('select pg_sleep(600)').catch(() => (ended = true));
    return { ended: () => ended };
  };
  const spec = { roles: [{ name: 'ann' }], databases: [{ name: 'app', owner: 'ann' }] };
  const run = (
    parts: Parameters<typeof inputFor>[1] = spec,
    limits = {},
    stage: CatalogInput['stage'] = 'start',
  ) => apply(cluster, inputFor(cluster.target, parts, { stage }), { limits });
  const reasonOf = async (work: Promise<unknown>): Promise<string> => {
    const failure = (await work.then(
      () => new Error('it succeeded'),
      (error: unknown) => error,
    )) as CatalogFailure;
    return failure.result.outcomes.find(({ result }) => result === 'failed')?.reason ?? '';
  };

  beforeAll(async () => {
    cluster = await startCluster({ postgres, conf: 'max_prepared_transactions=5' });
    await run();
  });
  beforeEach(() => {
    for (const client of held.splice(0)) destroyPg(client);
  });
  afterAll(() => cluster.stop());

  test('no advisory lock of a user is in the way of a pass or of the migrations, whatever its numbers', async () => {
    const holder = await holding('begin');
    for (const number of [1, 2, 3])
      await holder.query(`select pg_advisory_lock(1668246631, ${number}), pg_advisory_lock(${number})`);
    await run(spec, { lockMs: 500 });
    await migrateAll(cluster.target);
    // Nor does ours take any.
    expect(await sql(`select from pg_locks where locktype = 'advisory' and pid <> ${pidOf(holder)}`)).toEqual(
      [],
    );
    expect(await alive(holder)).toBe(true);
  });

  test('what an earlier compute_ctl left running is ended first, which once made the same database twice', async () => {
    const ours = await busy('cloud_admin', 'compute_ctl:apply_config');
    const migrating = await busy('cloud_admin', 'compute_ctl:migrations');
    const operators = await busy('cloud_admin', 'psql');
    const users = await busy('ann', 'compute_ctl:apply_config');
    await run(spec, {}, 'reconfigure');
    await eventually('the end', () => ours.ended() || undefined);
    expect(migrating.ended()).toBe(false);
    await migrateAll(cluster.target);
    await eventually('the end', () => migrating.ended() || undefined);
    expect([operators.ended(), users.ended()]).toEqual([false, false]);
  });

  test('two passes and two runs of the migrations in one process follow each other', async () => {
    const parts = {
      roles: [{ name: 'ann' }],
      databases: ['t1', 't2', 't3'].map((name) => ({ name, owner: 'ann' })),
    };
    const results = await Promise.all([
      run(parts),
      run(parts),
      migrateAll(cluster.target),
      migrateAll(cluster.target),
    ]);
    expect(results[1].statements).toBe(0);
  });

  test('a lock on a table in a database is waited for', async () => {
    await sql('create role going; create table waited (); alter table waited owner to going', 'app');
    const holder = await holding('begin; select from waited', 'cloud_admin', 'app');
    const work = run({ ...spec, delta_operations: [{ action: 'delete_role', name: 'going' }] });
    await eventually('the wait', async () =>
      (await sql(`select from pg_locks where not granted`)).length > 0 ? true : undefined,
    );
    await holder.query('commit');
    await work;
    expect(await sql(`select from pg_roles where rolname = 'going'`)).toEqual([]);
  });

  test('at the limit of that wait the error names process, role, database and application, and nobody was ended', async () => {
    await sql('create role staying; create table kept (); alter table kept owner to staying', 'app');
    await sql('grant all on kept to ann', 'app');
    const holder = await holding('begin; lock table kept in share mode', 'ann', 'app', 'a "report"');
    const parts = { ...spec, delta_operations: [{ action: 'delete_role', name: 'staying' }] };
    const named = `a lock is held by process ${pidOf(holder)} of role "ann" in database "app" (application "a \\"report\\"")`;
    expect(await reasonOf(run(parts, { lockMs: 3000 }))).toContain(named);
    expect(await reasonOf(run(parts, { statementMs: 3000 }))).toContain(named);
    expect(await alive(holder)).toBe(true);
    await holder.query(`prepare transaction 'p "1"'`);
    expect(await reasonOf(run(parts, { lockMs: 3000 }))).toContain(
      `a lock is held by prepared transaction "p \\"1\\"" of role "ann" in database "app"`,
    );
    await query({ ...cluster.target, user: 'ann', database: 'app' }, `rollback prepared 'p "1"'`);
    await run(parts);
  });

  test('a last look that comes after the wait does not take away the name', async () => {
    await sql('create table looked ()');
    const waiter = await hold({ ...cluster.target, user: 'cloud_admin' }, "set lock_timeout = '1500ms'");
    const watcher = await hold({ ...cluster.target, user: 'cloud_admin' }, 'select');
    held.push(waiter, watcher);
    const holder = await holding('begin; lock table looked', 'cloud_admin', 'postgres');
    let looks = 0;
    const counting = new Proxy(watcher, {
      get: (of, name) =>
        name === 'query'
          ? async (asked: QueryConfig) => of.query(asked).finally(() => looks++)
          : (Reflect.get(of, name) as unknown),
    });
    const limits = { ...defaultLimits, lockMs: 1500 };
    const options = { target: cluster.target, limits, signal: never, watcher: counting };
    const work = endingStrangers(waiter, options, async () => {
      const failure: unknown = await waiter.query('select from looked').catch((error: unknown) => error);
      const until = looks + 2;
      await eventually('one more look', () => looks >= until || undefined);
      throw failure;
    });
    await expect(work).rejects.toThrow(`a lock is held by process ${pidOf(holder)} of role "cloud_admin"`);
  });

  test('so does the inspection of a database', async () => {
    await sql('alter default privileges in schema public revoke all on tables from neon_superuser', 'app');
    const lock = 'begin; lock table pg_catalog.pg_default_acl in access exclusive mode';
    const holder = await holding(lock, 'cloud_admin', 'app');
    const work = run(spec, { lockMs: 3000 });
    await expect(work).rejects.toMatchObject({ message: expect.stringContaining('"app"') as string });
    const failure: unknown = await work.catch((error: unknown) => error);
    expect(JSON.stringify(causes(failure))).toContain(`process ${pidOf(holder)} of role`);
  });

  test('where a superuser holds a lock on what is ours it is waited for and named, and he is not ended', async () => {
    const parts = {
      ...spec,
      operation_uuid: '5f7a2c3e-9d67-4c3f-9a36-0c4f4f1f9a11',
      delta_operations: [{ action: 'delete_db', name: 'nosuch' }],
    };
    await run(parts);
    const lock = 'begin; lock table neon_migration.operation_done in access exclusive mode';
    const holder = await holding(lock, 'cloud_admin');
    const failure: unknown = await run(parts, { lockMs: 2000 }).catch((error: unknown) => error);
    expect(JSON.stringify(causes(failure))).toContain(`process ${pidOf(holder)} of role`);
    expect(await alive(holder)).toBe(true);
  });
});

const pidOf = (client: PgClient): number => (client as unknown as { processID: number }).processID;

function causes(error: unknown): string[] {
  return error instanceof Error ? [error.message, ...causes(error.cause)] : [];
}
