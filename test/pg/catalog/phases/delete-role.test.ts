import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectPg } from '../../../../src/pg/client.ts';
import { type Cluster, startCluster } from '../../../support/cluster.ts';
import { apply, inputFor, never, query, value } from '../support.ts';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster.stop());

const sql = (text: string, database = 'postgres'): Promise<unknown> =>
  query({ ...cluster.target, database }, text);
const exists = async (role: string): Promise<boolean> =>
  (await query(cluster.target, 'select from pg_roles where rolname = $1', [role])).length === 1;

test('a deleted role hands everything over, in listed and unlisted databases, and is gone', async () => {
  const role = `d'oomed "one" $x$`;
  const quoted = `"d'oomed ""one"" $x$"`;
  const before = {
    roles: [{ name: role }, { name: 'keeper' }],
    databases: [{ name: 'listed', owner: 'keeper' }],
  };
  await apply(cluster, inputFor(cluster.target, before));
  await sql(`create database unlisted owner ${quoted}`);
  for (const database of ['postgres', 'listed', 'unlisted']) {
    await sql(
      `create schema "sch ema"; create table public.mine (a int); insert into public.mine values (1);
      alter table public.mine owner to ${quoted}; create table "sch ema".other (a int); alter table "sch ema".other owner to keeper;
      grant usage on schema "sch ema" to neon_superuser, keeper;
      create function public.f() returns int language sql as 'select 1';
      grant execute on function public.f() to neon_superuser with grant option;
      grant select on "sch ema".other to neon_superuser with grant option;
      set role neon_superuser; grant select on "sch ema".other to ${quoted}; grant execute on function public.f() to ${quoted}`,
      database,
    );
  }
  const input = inputFor(cluster.target, {
    roles: [{ name: 'keeper' }],
    databases: [{ name: 'listed', owner: 'keeper' }],
    delta_operations: [{ action: 'delete_role', name: role }],
  });
  await apply(cluster, input);
  expect(await exists(role)).toBe(false);
  const owner = async (database: string) =>
    value(
      { ...cluster.target, database },
      `select pg_get_userbyid(relowner) || ' ' || (select count(*) from public.mine) from pg_class where relname = 'mine'`,
    );
  expect(await owner('listed')).toBe('keeper 1');
  expect(await owner('postgres')).toBe('neon_superuser 1');
  expect(await owner('unlisted')).toBe('neon_superuser 1');
  expect((await apply(cluster, input)).statements).toBe(0);
});

test('a table outlives a hand-over that fails, and the next pass completes it', async () => {
  await apply(
    cluster,
    inputFor(cluster.target, {
      roles: [{ name: 'stuck' }],
      databases: [{ name: 'stuckdb', owner: 'cloud_admin' }],
    }),
  );
  await sql('create table t (a int); alter table t owner to stuck', 'stuckdb');
  const holder = await connectPg(
    { ...cluster.target, database: 'stuckdb' },
    { applicationName: 'test', connectMs: 5000, signal: never },
  );
  const input = inputFor(cluster.target, {
    databases: [{ name: 'stuckdb', owner: 'cloud_admin' }],
    delta_operations: [{ action: 'delete_role', name: 'stuck' }],
  });
  try {
    await holder.query('begin; lock table t in share mode');
    await expect(apply(cluster, input, { limits: { lockMs: 200 } })).rejects.toMatchObject({
      message: expect.stringMatching(
        /^catalog phase "delete-role-references", database "stuckdb", role "stuck": .* SQLSTATE 55P03$/,
      ),
      hint: expect.stringContaining('pg_locks'),
    });
  } finally {
    await holder.end();
  }
  const target = { ...cluster.target, database: 'stuckdb' };
  expect(await value(target, `select pg_get_userbyid(relowner) from pg_class where relname = 't'`)).toBe(
    'stuck',
  );
  await apply(cluster, input);
  expect(await value(target, `select pg_get_userbyid(relowner) from pg_class where relname = 't'`)).toBe(
    'neon_superuser',
  );
  expect(await exists('stuck')).toBe(false);
});

test('a role that is listed and deleted ends up deleted, and is not made again', async () => {
  await sql('create role listed_too');
  const input = inputFor(cluster.target, {
    roles: [{ name: 'listed_too' }],
    delta_operations: [{ action: 'delete_role', name: 'listed_too' }],
  });
  await apply(cluster, input);
  expect(await exists('listed_too')).toBe(false);
  expect((await apply(cluster, input)).statements).toBe(0);
});

test('a role can be renamed and deleted under its new name', async () => {
  await sql(
    'create role first_name; create table of_first (a int); alter table of_first owner to first_name',
  );
  await apply(
    cluster,
    inputFor(cluster.target, {
      delta_operations: [
        { action: 'rename_role', name: 'first_name', new_name: 'second_name' },
        { action: 'delete_role', name: 'second_name' },
      ],
    }),
  );
  expect(await exists('second_name')).toBe(false);
  expect(
    await value(cluster.target, `select pg_get_userbyid(relowner) from pg_class where relname = 'of_first'`),
  ).toBe('neon_superuser');
});
