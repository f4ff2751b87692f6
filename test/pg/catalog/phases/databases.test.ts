import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectPg } from '../../../../src/pg/client.ts';
import { type Cluster, startCluster } from '../../../support/cluster.ts';
import { type SpecParts, apply, inputFor, never, query, value } from '../support.ts';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ conf: 'max_prepared_transactions=2' });
});
afterAll(() => cluster.stop());

const sql = (text: string, database = 'postgres'): Promise<unknown> =>
  query({ ...cluster.target, database }, text);
const names = async (prefix: string): Promise<unknown[]> =>
  (
    await query(cluster.target, 'select datname from pg_database where starts_with(datname, $1) order by 1', [
      prefix,
    ])
  ).map((row) => row['datname']);
const run = (parts: SpecParts) => apply(cluster, inputFor(cluster.target, parts));
const admin = 'cloud_admin';

test('the owner follows the spec, and the privileged role gets its rights on the database once', async () => {
  const databases = (owner: string) => ({
    roles: [{ name: 'o1' }, { name: 'o2' }],
    databases: [{ name: 'own', owner }],
  });
  await run(databases('o1'));
  const rights = `select has_database_privilege('neon_superuser', 'own', 'create, connect, temporary')`;
  expect(await value(cluster.target, rights)).toBe(true);
  await run(databases('o2'));
  expect(
    await value(cluster.target, `select pg_get_userbyid(datdba) from pg_database where datname = 'own'`),
  ).toBe('o2');
  await sql('revoke create on database own from neon_superuser');
  expect((await run(databases('o2'))).statements).toBe(0);
});

test('a database whose creation was the last thing that happened gets the rights afterwards', async () => {
  await sql('create database halfway');
  await run({ databases: [{ name: 'halfway', owner: admin }] });
  expect(
    await value(cluster.target, `select has_database_privilege('neon_superuser', 'halfway', 'create')`),
  ).toBe(true);
});

test('an owner who does not exist is refused before anything is sent', async () => {
  const work = run({ roles: [{ name: 'tooearly' }], databases: [{ name: 'orphan', owner: 'nobody' }] });
  await expect(work).rejects.toMatchObject({
    message: expect.stringContaining('role "nobody", does not exist'),
  });
  expect(await query(cluster.target, `select 1 from pg_roles where rolname = 'tooearly'`)).toEqual([]);
});

test('a database goes although it is a template and sessions use it, and again without a fuss', async () => {
  await sql('create database gone is_template true');
  const session = await connectPg(
    { ...cluster.target, database: 'gone' },
    { applicationName: 'test', connectMs: 5000, signal: never },
  );
  try {
    const parts = {
      delta_operations: [
        { action: 'delete_db', name: 'gone' },
        { action: 'delete_db', name: 'never was' },
      ],
    };
    await run(parts);
    expect(await names('gone')).toEqual([]);
    expect((await run(parts)).statements).toBe(0);
  } finally {
    await session.end().catch(() => {});
  }
});

test('renames may swap two names through a third', async () => {
  await sql('create database swap_a');
  await sql('create database swap_b connection limit 9');
  const rename = (name: string, new_name: string) => ({ action: 'rename_db', name, new_name });
  await run({
    delta_operations: [rename('swap_a', 'swap_c'), rename('swap_b', 'swap_a'), rename('swap_c', 'swap_b')],
  });
  expect(
    await query(
      cluster.target,
      `select datname, datconnlimit from pg_database where datname ~ '^swap' order by 1`,
    ),
  ).toEqual([
    { datname: 'swap_a', datconnlimit: 9 },
    { datname: 'swap_b', datconnlimit: -1 },
  ]);
});

test('a rename is followed by the spec under the new name, with the privileges inside', async () => {
  await sql('create database old_name');
  await run({
    databases: [{ name: 'new_name', owner: admin }],
    delta_operations: [{ action: 'rename_db', name: 'old_name', new_name: 'new_name' }],
  });
  expect(await names('old_name')).toEqual([]);
  expect(
    await value({ ...cluster.target, database: 'new_name' }, 'select count(*)::int from pg_default_acl'),
  ).toBe(2);
});

test('a rename to a name that is taken is refused', async () => {
  await sql('create database taken_a');
  await sql('create database taken_b');
  const work = run({ delta_operations: [{ action: 'rename_db', name: 'taken_a', new_name: 'taken_b' }] });
  await expect(work).rejects.toMatchObject({
    message: expect.stringContaining('database "taken_b" exists already'),
  });
});

test('an invalid database is dropped, and made again when the spec lists it', async () => {
  await sql('create database broken');
  await sql(`update pg_database set datconnlimit = -2 where datname = 'broken'`);
  const parts = { databases: [{ name: 'broken', owner: admin }] };
  await run(parts);
  expect(await value(cluster.target, `select datconnlimit from pg_database where datname = 'broken'`)).toBe(
    -1,
  );
  expect((await run(parts)).statements).toBe(0);
});

test('an operation that went through is not carried out again on what was made since', async () => {
  await sql('create database replay');
  const parts = {
    operation_uuid: '8b0b4e5c-0d3c-4c0f-9d61-1a4e8d1f4b10',
    delta_operations: [{ action: 'delete_db', name: 'replay' }],
  };
  await run(parts);
  expect(await names('replay')).toEqual([]);
  await sql('create database replay');
  expect((await run(parts)).statements).toBe(0);
  expect(await names('replay')).toEqual(['replay']);
  await run({ ...parts, operation_uuid: '1d1c5f2e-6f0d-4a92-8e8f-2f2f2c6d0b7a' });
  expect(await names('replay')).toEqual([]);
});

test('what keeps a database from being renamed is named, with a hint', async () => {
  await sql('create database held');
  await sql(`begin; create table t (); prepare transaction 'p'`, 'held');
  const input = inputFor(cluster.target, {
    delta_operations: [{ action: 'rename_db', name: 'held', new_name: 'renamed' }],
  });
  const work = apply(cluster, input, { limits: { statementMs: 500 } });
  await expect(work).rejects.toMatchObject({
    message:
      'catalog phase "rename-and-delete-databases", database "postgres", database "held": rename to "renamed" failed with SQLSTATE 55006',
    hint: expect.stringContaining('prepared transactions'),
    result: {
      outcomes: expect.arrayContaining([
        expect.objectContaining({ object: 'database "held"', result: 'failed', sqlState: '55006' }),
      ]),
    },
  });
  await sql(`rollback prepared 'p'`, 'held');
});

test('a database that accepts no connections is left alone inside', async () => {
  await sql('create database closed allow_connections false');
  const { outcomes } = await run({ databases: [{ name: 'closed', owner: admin }] });
  expect(outcomes).toContainEqual(
    expect.objectContaining({ phase: 'schema-permissions', object: 'database "closed"', result: 'skipped' }),
  );
});
