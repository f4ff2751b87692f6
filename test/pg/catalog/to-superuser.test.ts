import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Cluster, startCluster } from '../../support/cluster.ts';
import { installedPostgres } from '../../support/postgres-versions.ts';
import { migrateAll } from './migrate-all.ts';
import { apply, inputFor, query, value } from './support.ts';

const spec = {
  roles: [{ name: 'ann' }, { name: 'bob' }],
  databases: [
    { name: 'shop', owner: 'ann' },
    { name: 'postgres', owner: 'ann' },
  ],
};

/** What a role of the spec tries, each on its own and as the privileged role. */
const attempts = [
  'grant pg_execute_server_program to ann',
  'grant pg_read_server_files to ann',
  'grant pg_write_server_files to ann',
  'grant pg_execute_server_program to neon_superuser',
  'grant pg_database_owner to ann',
  'grant cloud_admin to ann',
  'grant neon_superuser to ann with admin option',
  'alter role ann superuser',
  'alter role neon_superuser superuser',
  'create role eve superuser',
  'create role eve in role pg_execute_server_program',
  'create role eve in role cloud_admin',
  `alter role cloud_admin password 'known'`,
  'alter role cloud_admin set search_path = public',
  `alter role cloud_admin in database shop set session_preload_libraries = 'x'`,
  'alter role cloud_admin rename to admin',
  'drop role cloud_admin',
  'set role cloud_admin',
  'set session authorization cloud_admin',
  'set session_replication_role = replica',
  `alter database shop set session_preload_libraries = 'x'`,
  `alter database shop set session_replication_role = replica`,
  `alter system set archive_command = 'id'`,
  `set archive_command = 'id'`,
  `load '/tmp/x.so'`,
  `copy (select 1) to program 'id'`,
  `copy (select 1) to '/tmp/x'`,
  `create table public.t (a text); copy public.t from '/etc/passwd'`,
  `select pg_catalog.pg_read_file('PG_VERSION')`,
  `select pg_catalog.pg_ls_dir('.')`,
  `select pg_catalog.lo_import('/etc/passwd')`,
  `select pg_catalog.lo_export(1, '/tmp/x')`,
  `select pg_catalog.pg_reload_conf()`,
  `update pg_catalog.pg_authid set rolsuper = true`,
  `insert into pg_catalog.pg_auth_members select * from pg_catalog.pg_auth_members`,
  `delete from pg_catalog.pg_db_role_setting`,
  `lock table pg_catalog.pg_authid in exclusive mode`,
  `create function public.f() returns int language c as 'libc', 'system'`,
  `create function public.f() returns int language internal as 'pg_backend_pid'`,
  `create extension plpython3u`,
  `create extension dblink`,
  `create extension file_fdw`,
  `create language plpython3u`,
  `create foreign data wrapper w`,
  `create access method m type table handler heap_tableam_handler`,
  `create function public.g() returns event_trigger language plpgsql as $$begin end$$; create event trigger e on ddl_command_start execute function public.g()`,
  `create cast (int8 as text) with inout as implicit`,
  `create cast (name as oid) with inout as implicit`,
  `create function pg_catalog.starts_with(name, text) returns bool language sql as 'select true'`,
  `create operator pg_catalog.= (leftarg = name, rightarg = oid, function = pg_catalog.starts_with)`,
  `create schema pg_evil`,
  `create table neon_migration.t ()`,
  `create table neon.t ()`,
  `create trigger t before update on neon_migration.migration_id execute function pg_catalog.suppress_redundant_updates_trigger()`,
  `create rule r as on update to neon_migration.migration_id do also select 1`,
  `create table public.child () inherits (neon_migration.migration_id)`,
  `alter table neon_migration.migration_id alter id set default 7`,
  `create policy p on neon_migration.migration_id using (true)`,
  `drop table neon_migration.migration_id`,
  `alter schema neon_migration rename to other`,
  `alter schema neon owner to ann`,
  `alter default privileges for role cloud_admin grant all on tables to ann`,
  `alter function pg_catalog.now() owner to ann`,
  `create or replace view pg_catalog.pg_roles as select 1 as x`,
  `create publication all_of_it for all tables`,
  `security label on role cloud_admin is 'x'`,
  `comment on role cloud_admin is 'x'`,
  `reassign owned by cloud_admin to ann`,
  `drop owned by cloud_admin`,
  `create tablespace t location '/tmp'`,
];

describe.each(installedPostgres())('PostgreSQL $major: a role of the spec', (postgres) => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({ postgres });
    const input = inputFor(cluster.target, spec);
    await apply(cluster, input);
    const { target } = cluster;
    await migrateAll(target);
    await apply(cluster, input);
  });
  afterAll(() => cluster.stop());

  test.each(['shop', 'postgres'])(
    'does not become superuser, nor get at files and programs, in database %s',
    async (database) => {
      const ann = { ...cluster.target, database, user: 'ann' };
      // What succeeds shows that the others are tried at all.
      const harmless = 'select pg_catalog.set_config($$search_path$$, $$public$$, false)';
      const succeeded: string[] = [];
      for (const attempt of [harmless, ...attempts]) {
        for (const options of ['', '-c role=neon_superuser']) {
          await query({ ...ann, options }, attempt).then(
            () => succeeded.push(attempt),
            () => {},
          );
        }
      }
      expect(succeeded).toEqual([harmless, harmless]);
      const dangerous = `select array_agg(r.rolname::text) from pg_roles r where r.oid >= 16384 and (r.rolsuper
      or pg_has_role(r.oid, 'pg_execute_server_program', 'member') or pg_has_role(r.oid, 'pg_read_server_files', 'member')
      or pg_has_role(r.oid, 'pg_write_server_files', 'member') or pg_has_role(r.oid, 'cloud_admin', 'member'))`;
      expect(await value(cluster.target, dangerous)).toBeNull();
    },
  );

  test('does not reach the superuser through a template that a database of the spec is made from', async () => {
    // On PostgreSQL 14 everybody may create objects in template1.
    await query(
      { ...cluster.target, database: 'template1', user: 'bob' },
      `create function public.format(text, variadic "any") returns text language internal immutable as 'text_format';
       create function public.current_database() returns name language plpgsql as $$ begin execute 'alter role bob superuser'; return 'x'; end $$`,
    ).catch(() => {});
    await apply(
      cluster,
      inputFor(cluster.target, {
        ...spec,
        databases: [...spec.databases, { name: 'templated', owner: 'ann' }],
      }),
    );
    expect(await value(cluster.target, `select rolsuper from pg_roles where rolname = 'bob'`)).toBe(false);
  });
});
