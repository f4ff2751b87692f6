import { afterAll, beforeAll, expect, test } from 'vitest';
import { Secret } from '../../../src/core/secret.ts';
import { type Cluster, startCluster } from '../../support/cluster.ts';
import { apply, inputFor, md5, query, scram, value, withoutWrite } from './support.ts';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster({ conf: 'log_statement=mod' });
});
afterAll(() => cluster.stop());

const spec = {
  roles: [
    { name: 'ann', encrypted_password: scram('secret of ann') },
    {
      name: 'bob',
      encrypted_password: md5('secret of bob', 'bob'),
      options: [{ name: 'NOCREATEDB', vartype: 'bool' }],
    },
    { name: 'cleo "the" o\'first', encrypted_password: null },
  ],
  databases: [
    { name: 'shop', owner: 'ann' },
    {
      name: 'no$ $x$ "quoted" \\',
      owner: 'cleo "the" o\'first',
      options: [
        { name: 'LC_COLLATE', value: 'C', vartype: 'string' },
        { name: 'TEMPLATE', value: 'template0', vartype: 'enum' },
      ],
    },
  ],
};

test('the roles of the spec can log in and own their databases, and a second pass writes nothing', async () => {
  const first = await apply(cluster, inputFor(cluster.target, spec));
  expect(first.outcomes.filter(({ result }) => result !== 'done')).toMatchObject([
    { object: 'extension "neon"', result: 'skipped' },
  ]);
  const roles = await query(
    cluster.target,
    `select rolname, rolcanlogin, rolcreatedb, rolbypassrls, rolpassword,
       pg_has_role(oid, 'neon_superuser', 'member') as member from pg_authid where oid >= 16384 order by 1`,
  );
  expect(roles).toMatchObject([
    {
      rolname: 'ann',
      rolcanlogin: true,
      rolcreatedb: true,
      rolbypassrls: true,
      rolpassword: spec.roles[0]?.encrypted_password,
      member: true,
    },
    { rolname: 'bob', rolcreatedb: false, rolpassword: `md5${spec.roles[1]?.encrypted_password}` },
    { rolname: 'cleo "the" o\'first', rolpassword: null, member: true },
    { rolname: 'neon_superuser', rolcanlogin: false },
  ]);
  const owners = await query(
    cluster.target,
    'select datname, pg_get_userbyid(datdba) as owner from pg_database where oid >= 16384 order by 1',
  );
  expect(owners).toEqual([
    { datname: 'no$ $x$ "quoted" \\', owner: 'cleo "the" o\'first' },
    { datname: 'shop', owner: 'ann' },
  ]);
  const logged = { ...cluster.target, user: 'ann', password: new Secret('secret of ann'), database: 'shop' };
  expect(await value(logged, 'select current_user')).toBe('ann');

  await withoutWrite(cluster, async () => {
    const second = await apply(cluster, inputFor(cluster.target, spec));
    expect(second).toMatchObject({ statements: 0, outcomes: [{ result: 'skipped' }] });
  });
});

test('no password reaches the log of the server', async () => {
  expect(cluster.log()).toContain('create database');
  expect(cluster.log()).not.toMatch(/SCRAM-SHA-256|md5[0-9a-f]{32}/);
});
