import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Cluster, startCluster } from '../../../support/cluster.ts';
import { apply, inputFor, md5, query, scram, value } from '../support.ts';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster();
});
afterAll(() => cluster.stop());

const role = async (name: string): Promise<Record<string, unknown> | undefined> => {
  const text = `select rolcanlogin as login, rolcreatedb as createdb, rolcreaterole as createrole, rolbypassrls as bypassrls,
    rolreplication as replication, rolconnlimit as "limit", rolpassword as password, exists (
      select from pg_auth_members where member = r.oid and roleid = 'neon_superuser'::regrole) as member
    from pg_authid r where rolname = $1`;
  return (await query(cluster.target, text, [name]))[0];
};
const sql = (text: string): Promise<unknown> => query(cluster.target, text);
// Before PostgreSQL 16 CREATEROLE is left out: see rights.test.ts.
const full = { login: true, createdb: true, bypassrls: true, replication: true, member: true };
const nothing = { createdb: false, createrole: false, bypassrls: false, replication: false, member: false };

test('a role keeps what it has, and its password follows the spec', async () => {
  const input = inputFor(cluster.target, { roles: [{ name: 'drift', encrypted_password: scram('s') }] });
  await apply(cluster, input);
  expect(await role('drift')).toMatchObject({ ...full, password: scram('s') });
  await sql('alter role drift password null');
  await apply(cluster, input);
  expect(await role('drift')).toMatchObject({ ...full, password: scram('s') });
  expect((await apply(cluster, input)).statements).toBe(0);
});

test('a role that users made gets its password, and nothing else', async () => {
  await sql('create role usermade login');
  await apply(
    cluster,
    inputFor(cluster.target, { roles: [{ name: 'usermade', encrypted_password: md5('s', 'usermade') }] }),
  );
  expect(await role('usermade')).toMatchObject({
    ...nothing,
    login: true,
    password: `md5${md5('s', 'usermade')}`,
  });
});

test('a role of local_proxy is made without privileges', async () => {
  const jwks = [{ id: 'a', jwks_url: 'https://keys', provider_name: 'p', role_names: ['proxied'] }];
  const input = inputFor(cluster.target, { roles: [{ name: 'proxied' }], local_proxy_config: { jwks } });
  await apply(cluster, input);
  expect(await role('proxied')).toMatchObject({ ...nothing, login: true });
  expect((await apply(cluster, input)).statements).toBe(0);
});

test('options of the spec outrank what every role gets, at creation and later', async () => {
  const options = [
    { name: 'NOBYPASSRLS', vartype: 'bool' },
    { name: 'CONNECTION LIMIT', value: '7', vartype: 'integer' },
    { name: 'VALID UNTIL', value: '2031-02-03 04:05:06+02', vartype: 'string' },
  ];
  const input = inputFor(cluster.target, { roles: [{ name: 'limited', options }] });
  await apply(cluster, input);
  expect(await role('limited')).toMatchObject({ ...full, bypassrls: false, limit: 7 });
  expect((await apply(cluster, input)).statements).toBe(0);
  const changed = options.with(1, { name: 'connection  limit', value: '8', vartype: 'integer' });
  await apply(cluster, inputFor(cluster.target, { roles: [{ name: 'limited', options: changed }] }));
  expect(await role('limited')).toMatchObject({ bypassrls: false, limit: 8 });
});

test('a role without a password in the spec loses the one it has', async () => {
  await apply(
    cluster,
    inputFor(cluster.target, { roles: [{ name: 'mute', encrypted_password: md5('s', 'mute') }] }),
  );
  await apply(cluster, inputFor(cluster.target, { roles: [{ name: 'mute' }] }));
  expect(await role('mute')).toMatchObject({ ...full, password: null });
});

test('a renamed role keeps everything, and its md5 password is set again', async () => {
  await apply(
    cluster,
    inputFor(cluster.target, { roles: [{ name: 'before', encrypted_password: md5('s', 'before') }] }),
  );
  const input = inputFor(cluster.target, {
    roles: [{ name: 'after', encrypted_password: md5('s', 'after') }],
    delta_operations: [{ action: 'rename_role', name: 'before', new_name: 'after' }],
  });
  await apply(cluster, input);
  expect(await role('before')).toBeUndefined();
  expect(await role('after')).toMatchObject({ ...full, password: `md5${md5('s', 'after')}` });
  expect((await apply(cluster, input)).statements).toBe(0);
});

test('a rename to a name that is taken is refused before anything is sent', async () => {
  await sql('create role src; create role dst');
  const input = inputFor(cluster.target, {
    roles: [{ name: 'neverborn' }],
    delta_operations: [{ action: 'rename_role', name: 'src', new_name: 'dst' }],
  });
  await expect(apply(cluster, input)).rejects.toMatchObject({
    code: 'catalog',
    message: 'catalog phase "rename-roles", role "src": role "dst" exists already',
  });
  expect(await role('neverborn')).toBeUndefined();
});

test('members cannot log in through the privileged role', async () => {
  await sql('alter role neon_superuser login superuser');
  await apply(cluster, inputFor(cluster.target, {}));
  expect(await role('neon_superuser')).toMatchObject({ login: false });
  expect(await value(cluster.target, `select rolsuper from pg_roles where rolname = 'neon_superuser'`)).toBe(
    false,
  );
  expect((await apply(cluster, inputFor(cluster.target, {}))).statements).toBe(0);
});

test('another privileged role is used everywhere when it is called for', async () => {
  const other = await startCluster();
  try {
    const input = inputFor(
      other.target,
      { roles: [{ name: 'r' }], databases: [{ name: 'd', owner: 'r' }] },
      { privilegedRole: 'boss' },
    );
    await apply(other, input);
    expect(
      await query(other.target, `select rolname from pg_roles where rolname in ('boss', 'neon_superuser')`),
    ).toEqual([{ rolname: 'boss' }]);
    expect(await value(other.target, `select pg_has_role('r', 'boss', 'member')`)).toBe(true);
  } finally {
    await other.stop();
  }
});
