import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Log } from '../../../src/core/log.ts';
import { type Cluster, startCluster } from '../../support/cluster.ts';
import { installedPostgres } from '../../support/postgres-versions.ts';
import { type SpecParts, apply, inputFor, query, scram, value, withoutWrite } from './support.ts';

const option = (name: string) => ({ name, vartype: 'bool' });

describe.each(installedPostgres())('PostgreSQL $major', (postgres) => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({ postgres });
    await apply(cluster, inputFor(cluster.target, {}));
  });
  afterAll(() => cluster.stop());

  const sql = (text: string, database = 'postgres'): Promise<unknown> =>
    query({ ...cluster.target, database }, text);
  const run = (parts: SpecParts, log?: Log) =>
    apply(cluster, inputFor(cluster.target, parts), log === undefined ? {} : { log });
  const unchanged = (parts: SpecParts): Promise<void> => withoutWrite(cluster, () => run(parts));
  const rights = (name: string): Promise<unknown> =>
    value(
      cluster.target,
      `select concat_ws(' ', case when rolcanlogin then 'login' end, case when rolcreatedb then 'createdb' end,
         case when rolcreaterole then 'createrole' end, case when rolreplication then 'replication' end,
         case when rolbypassrls then 'bypassrls' end, case when rolinherit then 'inherit' end,
         (select string_agg(roleid::regrole::text, ' ' order by roleid::regrole::text) from pg_auth_members where member = r.oid))
       from pg_roles r where rolname = $1`,
      [name],
    );
  const notes = () => {
    const lines: string[] = [];
    return { lines, log: pino({}, { write: (line: string) => void lines.push(line) }) };
  };
  const atCreation = `login createdb ${postgres.major >= 16 ? 'createrole ' : ''}replication bypassrls inherit neon_superuser`;

  test('a role with nologin nobypassrls nocreatedb nocreaterole keeps all of it when the spec lists it', async () => {
    const parts = { roles: [{ name: 'usermade', encrypted_password: scram('s') }] };
    await sql(
      'create role usermade nologin nobypassrls nocreatedb nocreaterole noreplication in role neon_superuser',
    );
    await run(parts);
    expect(await rights('usermade')).toBe('inherit neon_superuser');
    await unchanged(parts);
  });

  test('what was taken away from a role of the spec stays away: attributes, LOGIN, the membership', async () => {
    const parts = { roles: ['a', 'b', 'c'].map((name) => ({ name, encrypted_password: scram(name) })) };
    await run(parts);
    for (const name of ['a', 'b', 'c']) expect(await rights(name)).toBe(atCreation);
    await sql('alter role a nobypassrls nocreatedb nocreaterole noreplication noinherit');
    await sql('alter role a nologin; revoke neon_superuser from b');
    await unchanged(parts);
    // A changed password is no reason either.
    await run({
      roles: parts.roles.map(({ name }) => ({ name, encrypted_password: scram('another one') })),
    });
    expect(await rights('a')).toBe('neon_superuser');
    expect(await rights('b')).toBe(atCreation.replace(' neon_superuser', ''));
    expect(await rights('c')).toBe(atCreation);
  });

  test("what the spec's own options name is set, on every role, and only that", async () => {
    await sql('create role optional');
    const parts = { roles: [{ name: 'optional', options: [option('CREATEDB'), option('LOGIN')] }] };
    await run(parts);
    expect(await rights('optional')).toBe('login createdb inherit');
    await unchanged(parts);
  });

  test('what the privileged role lost is not given back', async () => {
    await sql(
      'alter role neon_superuser nobypassrls nocreatedb; revoke pg_read_all_data from neon_superuser',
    );
    await unchanged({});
    expect(await rights('neon_superuser')).not.toMatch(/bypassrls|createdb|pg_read_all_data/);
    expect(await rights('neon_superuser')).toContain('pg_write_all_data');
    await sql('alter role neon_superuser bypassrls createdb; grant pg_read_all_data to neon_superuser');
  });

  test('the record of roles of an earlier version is neither read nor written, whoever owns it', async () => {
    const parts = { roles: [{ name: 'recorded' }] };
    await sql('create role recorded; create role mallory');
    await sql(`create table neon_migration.managed_role (oid oid primary key);
      insert into neon_migration.managed_role values ('recorded'::regrole);
      alter table neon_migration.managed_role owner to mallory`);
    await unchanged(parts);
    expect(await rights('recorded')).toBe('inherit');
    expect(await value(cluster.target, 'select count(*)::int from neon_migration.managed_role')).toBe(1);
  });

  test('a database that a user made and the spec lists gets no rights for the privileged role', async () => {
    const roles = [{ name: 'maker' }, { name: 'heir' }];
    await run({ roles });
    await sql('grant neon_superuser to cloud_admin');
    for (const name of ['made1', 'made2']) {
      await query({ ...cluster.target, options: '-c role=maker' }, `create database ${name}`);
    }
    const parts = {
      roles,
      databases: [
        { name: 'made1', owner: 'maker' },
        { name: 'made2', owner: 'heir' },
        { name: 'ours', owner: 'maker' },
      ],
    };
    await run(parts);
    const found = await query(
      cluster.target,
      `select datname as name, datdba::regrole::text as owner, (select string_agg(privilege_type, ' ' order by privilege_type)
         from aclexplode(datacl) where grantee = 'neon_superuser'::regrole) as held
       from pg_database where datname in ('made1', 'made2', 'ours') order by 1`,
    );
    expect(found).toEqual([
      { name: 'made1', owner: 'maker', held: null },
      { name: 'made2', owner: 'heir', held: null },
      { name: 'ours', owner: 'maker', held: 'CONNECT CREATE TEMPORARY' },
    ]);
    await unchanged(parts);
  });

  test('a creation that was cut off before its grants is completed by the next pass', async () => {
    const parts = { roles: [{ name: 'late' }], databases: [{ name: 'cut', owner: 'late' }] };
    await run({ roles: parts.roles });
    await sql('create database cut');
    await run(parts);
    const acl = `select datdba::regrole || ' ' || has_database_privilege('neon_superuser', 'cut', 'create') from pg_database where datname = 'cut'`;
    expect(await value(cluster.target, acl)).toBe('late true');
    await unchanged(parts);
  });

  test('the system database gets its owner and nothing else, and that is said', async () => {
    await sql('create role web_access');
    const parts = { roles: [{ name: 'tenant' }], databases: [{ name: 'postgres', owner: 'tenant' }] };
    const { lines, log } = notes();
    const before = await value(
      cluster.target,
      `select nspacl::text from pg_namespace where nspname = 'public'`,
    );
    await run(parts, log);
    expect(
      await query(
        cluster.target,
        `select datdba::regrole::text as owner, datacl::text as acl, (select count(*)::int from pg_default_acl) as defaults,
           (select nspacl::text from pg_namespace where nspname = 'public') as public,
           (select nspowner::regrole::text from pg_namespace where nspname = 'public') as "publicOwner"
         from pg_database where datname = 'postgres'`,
      ),
    ).toEqual([
      {
        owner: 'tenant',
        acl: null,
        defaults: 0,
        public: before,
        publicOwner: postgres.major >= 15 ? 'pg_database_owner' : 'cloud_admin',
      },
    ]);
    expect(lines.filter((line) => line.includes('it is the system database'))).toHaveLength(1);
    await unchanged(parts);
    await withoutWrite(cluster, () => apply(cluster, { ...inputFor(cluster.target, parts), verify: true }));
    await sql('alter database postgres owner to cloud_admin; drop role web_access');
  });

  test('CREATEROLE is left out where it leads to the operating system, unless the options ask for it', async () => {
    const { lines, log } = notes();
    await run(
      {
        roles: [
          { name: 'plain' },
          { name: 'asking', options: [option('CREATEROLE')] },
          { name: 'declining', options: [option('NOCREATEROLE')] },
        ],
      },
      log,
    );
    const has = (name: string) =>
      value(cluster.target, 'select rolcreaterole from pg_roles where rolname = $1', [name]);
    expect([await has('plain'), await has('neon_superuser')]).toEqual([
      postgres.major >= 16,
      postgres.major >= 16,
    ]);
    expect([await has('asking'), await has('declining')]).toEqual([true, false]);
    expect(lines.filter((line) => line.includes('without CREATEROLE'))).toHaveLength(
      postgres.major >= 16 ? 0 : 1,
    );
    // Given by an earlier version, or by a user who had it.
    await sql('alter role neon_superuser createrole');
    await run({});
    expect(await has('neon_superuser')).toBe(postgres.major >= 16);
  });

  test('functions and views of a deleted role do not become those of a superuser', async () => {
    const roles = [{ name: 'leaver' }, { name: 'stayer' }];
    await run({ roles, databases: [{ name: 'admins', owner: 'cloud_admin' }] });
    await sql('create database unlisted');
    for (const database of ['postgres', 'admins', 'unlisted']) {
      await sql(
        `create schema attack authorization leaver; set role leaver;
         create function attack.pwn() returns void security definer language plpgsql as $$ begin execute 'alter role stayer superuser'; end $$;
         create view attack.hashes as select * from pg_catalog.pg_authid;
         create table attack.indexed (a int); grant usage on schema attack to public`,
        database,
      );
    }
    await run({ roles: [{ name: 'stayer' }], delta_operations: [{ action: 'delete_role', name: 'leaver' }] });
    expect(await query(cluster.target, `select from pg_roles where rolname = 'leaver'`)).toEqual([]);
    for (const database of ['postgres', 'admins', 'unlisted']) {
      const stayer = { ...cluster.target, database, user: 'stayer' };
      await expect(query(stayer, 'select attack.pwn()')).rejects.toThrow();
      expect(
        await value(
          { ...cluster.target, database },
          `select count(*)::int from (
             select proowner as owner from pg_proc where pronamespace = 'attack'::regnamespace
             union all select relowner from pg_class where relnamespace = 'attack'::regnamespace) o
           join pg_roles r on r.oid = o.owner where r.rolsuper`,
        ),
      ).toBe(0);
    }
  });
});
