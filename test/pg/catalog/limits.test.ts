import { createServer } from 'node:net';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CatalogFailure } from '../../../src/catalog/result.ts';
import { statementsCancelled } from '../../../src/catalog/run.ts';
import { connectPg } from '../../../src/pg/client.ts';
import { type Cluster, startCluster } from '../../support/cluster.ts';
import { apply, inputFor, never, query, value } from './support.ts';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster();
  await apply(cluster, inputFor(cluster.target, {}));
});
afterAll(() => cluster.stop());

const sql = (text: string, database = 'postgres'): Promise<unknown> =>
  query({ ...cluster.target, database }, text);
const holding = async (database: string, text: string) => {
  const client = await connectPg(
    { ...cluster.target, database },
    { applicationName: 'test', connectMs: 5000, signal: never },
  );
  await client.query(`begin; ${text}`);
  return client;
};

test('a lock that somebody holds fails only its database, which is named; the one beside it is done', async () => {
  const databases = ['lock1', 'lock2', 'lock3'].map((name) => ({ name, owner: 'cloud_admin' }));
  await apply(cluster, inputFor(cluster.target, { databases }));
  for (const { name } of databases)
    await sql('alter default privileges in schema public revoke all on tables from neon_superuser', name);
  const holders = [
    await holding('lock1', 'lock table pg_catalog.pg_default_acl in access exclusive mode'),
    await holding('lock2', 'lock table pg_catalog.pg_default_acl in access exclusive mode'),
  ];
  try {
    const input = inputFor(cluster.target, { databases });
    // Only the inspection needs a share lock; it meets the holder first.
    const failure = await apply(cluster, input, { limits: { lockMs: 200 } }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(CatalogFailure);
    expect((failure as Error).message).toMatch(/inspect.*"lock[12]".*55P03/s);
    expect([...(failure as CatalogFailure).databases.keys()].toSorted()).toEqual(['lock1', 'lock2']);
  } finally {
    for (const holder of holders) await holder.end();
  }
  expect((await apply(cluster, inputFor(cluster.target, { databases }))).statements).toBe(2);
});

test('every database that failed is listed, and what was not reached is told apart', async () => {
  const databases = ['bad1', 'bad2', 'good'].map((name) => ({ name, owner: 'cloud_admin' }));
  await sql('create role leaving');
  for (const { name } of databases) await sql(`create database ${name}`);
  for (const name of ['bad1', 'bad2']) await sql('create table t (); alter table t owner to leaving', name);
  const holders = [await holding('bad1', 'lock table t'), await holding('bad2', 'lock table t')];
  const input = inputFor(cluster.target, {
    databases,
    delta_operations: [{ action: 'delete_role', name: 'leaving' }],
  });
  const before = statementsCancelled();
  try {
    const failure = await apply(cluster, input, { limits: { statementMs: 300 } }).catch(
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(CatalogFailure);
    const { message, hint, result } = failure as CatalogFailure;
    const at = (name: string): string =>
      `catalog phase "delete-role-references", database "${name}", role "leaving": hand over to "neon_superuser" failed with SQLSTATE 57014`;
    expect(message).toContain(`${at('bad1')}; also ${at('bad2')}`);
    expect(hint).toContain('locks');
    expect(statementsCancelled()).toBeGreaterThan(before);
    expect(result.outcomes.filter((one) => one.result === 'not reached').map(({ phase }) => phase)).toContain(
      'drop-roles',
    );
  } finally {
    for (const holder of holders) await holder.end();
  }
  await apply(cluster, input);
});

test('a server that accepts connections and says nothing is given up on', async () => {
  const mute = createServer(() => {}).listen(0, '127.0.0.1');
  await once(mute, 'listening');
  const target = { ...cluster.target, port: (mute.address() as { port: number }).port };
  try {
    await expect(
      apply(cluster, inputFor(target, {}), { target, limits: { connectMs: 200 } }),
    ).rejects.toMatchObject({ code: 'sql' });
    await expect(
      apply(cluster, inputFor(target, {}), { target, limits: { overallMs: 200 } }),
    ).rejects.toMatchObject({
      code: 'deadline',
      message: 'applying the spec to Postgres took longer than 200 ms',
    });
    const caller = new AbortController();
    const work = apply(cluster, inputFor(target, {}), { target, signal: caller.signal });
    caller.abort();
    await expect(work).rejects.toMatchObject({ name: 'AbortError' });
  } finally {
    mute.close();
  }
});

test('one pass waits for another', async () => {
  const roles = [{ name: 'once1' }, { name: 'once2' }];
  const input = inputFor(cluster.target, { roles, databases: [{ name: 'once', owner: 'once1' }] });
  const results = await Promise.all([apply(cluster, input), apply(cluster, input), apply(cluster, input)]);
  expect(results.map(({ statements }) => statements > 0).filter(Boolean)).toHaveLength(1);
});

test('settings that users attach to the database or the role do not reach the pass', async () => {
  await sql(`create role trap; alter database postgres set role = trap; alter database postgres set default_transaction_read_only = on;
    alter database postgres set statement_timeout = 1; alter database postgres set search_path = trap;
    alter role cloud_admin set lock_timeout = 1`);
  try {
    await apply(cluster, inputFor(cluster.target, { roles: [{ name: 'untrapped' }] }));
  } finally {
    const options =
      '-c default_transaction_read_only=off -c role=cloud_admin -c statement_timeout=0 -c search_path=';
    await query(
      { ...cluster.target, options },
      'alter database postgres reset all; alter role cloud_admin reset all',
    );
  }
  expect(await value(cluster.target, `select count(*)::int from pg_roles where rolname = 'untrapped'`)).toBe(
    1,
  );
});

test('a search path that the connection string asks for stays empty, also one of two apostrophes', async () => {
  await sql(`create schema "''"; create function "''".trapped(name, name) returns boolean language plpgsql as
    $$ begin raise exception 'trapped'; end $$;
    create operator "''".= (leftarg = name, rightarg = name, function = "''".trapped)`);
  const target = { ...cluster.target, options: `-c search_path='',pg_catalog` };
  await apply(cluster, inputFor(target, { roles: [{ name: 'careful' }] }), { target });
  expect(await value(cluster.target, `select count(*)::int from pg_roles where rolname = 'careful'`)).toBe(1);
});

test('a bookkeeping schema of a user is refused before anything is sent', async () => {
  await sql(
    'create role mallory; alter schema neon_migration rename to kept; create schema neon_migration authorization mallory',
  );
  const work = apply(cluster, inputFor(cluster.target, { roles: [{ name: 'unmade' }] }));
  await expect(work).rejects.toMatchObject({ message: expect.stringContaining('belongs to role "mallory"') });
  await sql('drop schema neon_migration; alter schema kept rename to neon_migration');
});

test('a login that is not a superuser is refused, and so is one that does not exist', async () => {
  await sql('create role weak login');
  const weak = { ...cluster.target, user: 'weak' };
  await expect(apply(cluster, inputFor(weak, {}), { target: weak })).rejects.toMatchObject({
    code: 'catalog',
    message: 'catalog phase "observe", database "postgres": failed with SQLSTATE 42501',
  });
  const absent = { ...cluster.target, user: 'absent' };
  await expect(apply(cluster, inputFor(absent, {}), { target: absent })).rejects.toMatchObject({
    code: 'sql',
  });
});
