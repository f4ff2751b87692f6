import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connectPg } from '../../../src/pg/client.ts';
import type { PgTarget } from '../../../src/pg/target.ts';
import { type Cluster, startCluster } from '../../support/cluster.ts';
import { installedPostgres } from '../../support/postgres-versions.ts';
import { apply, inputFor, never, query, value } from '../catalog/support.ts';
import { memberships, rightsIn } from './rights.ts';

describe.each(installedPostgres())('PostgreSQL $major', (postgres) => {
  let cluster: Cluster;
  let target: PgTarget;
  beforeAll(async () => {
    const conf = `allow_in_place_tablespaces=on\nautovacuum=off\nmax_logical_replication_workers=0\nmax_prepared_transactions=2\nlock_timeout=20000`;
    cluster = await startCluster({ postgres, conf });
    ({ target } = cluster);
    await apply(
      cluster,
      inputFor(target, { roles: [{ name: 'ann' }], databases: [{ name: 'app', owner: 'ann' }] }),
    );
  });
  afterAll(() => cluster.stop());

  const inApp = (text: string): Promise<unknown> => query({ ...target, database: 'app' }, text);
  const appValue = (text: string): Promise<unknown> => value({ ...target, database: 'app' }, text);
  const drop = (...names: string[]): ReturnType<typeof apply> =>
    apply(
      cluster,
      inputFor(target, {
        roles: [{ name: 'ann' }],
        databases: [{ name: 'app', owner: 'ann' }],
        delta_operations: names.map((name) => ({ action: 'delete_role', name })),
      }),
    );
  const isGone = async (name: string): Promise<void> =>
    expect(await query(target, 'select from pg_roles where rolname = $1', [name])).toEqual([]);

  /** What one kind of object is called, and a privilege on it. */
  const kinds: [string, string, string][] = [
    ['table', 'table k.t', 'delete'],
    ['trigger on a table', 'table k.t', 'trigger'],
    ['truncating a table', 'table k.t', 'truncate'],
    ...(postgres.major < 17
      ? []
      : [['maintaining a table', 'table k.t', 'maintain'] satisfies [string, string, string]]),
    ['column', 'table k.t', 'select (a)'],
    ['view', 'table k.v', 'select'],
    ['sequence', 'sequence k.q', 'usage'],
    ['function', 'function k.f(k.e)', 'execute'],
    ['procedure', 'procedure k.p()', 'execute'],
    ['aggregate', 'function k.a(int)', 'execute'],
    ['schema', 'schema k', 'create'],
    ['type', 'type k.e', 'usage'],
    ['domain', 'domain k.d', 'usage'],
    ['language', 'language plpgsql', 'usage'],
    ['large object', 'large object 77', 'update'],
    ['foreign data wrapper', 'foreign data wrapper w', 'usage'],
    ['foreign server', 'foreign server s', 'usage'],
    ['database', 'database app', 'connect'],
    ['tablespace', 'tablespace space', 'create'],
    ...(postgres.major < 15
      ? []
      : ([
          ['parameter', 'parameter work_mem', 'set'],
          ['parameter of an extension', 'parameter "plpgsql"."extra_errors"', 'alter system'],
        ] satisfies [string, string, string][])),
  ];

  test('grants go whose grantors became superusers, lost their grant option or cannot reach the schema any more', async () => {
    await query(target, `create tablespace space location ''; `);
    await inApp(`create schema k; create table k.t (a int, b int); create view k.v as select 1 as a; create sequence k.q;
      create type k.e as enum ('x'); create domain k.d as int; select lo_create(77);
      create function k.f(k.e) returns int language sql as 'select 1'; create procedure k.p() language sql as 'select 1';
      create aggregate k.a(int) (sfunc = int4pl, stype = int); create foreign data wrapper w; create server s foreign data wrapper w;
      create role group_of_losers; create role owner_of_all; grant usage on schema k to public;
      create role becomes_superuser; create role loses_option in role group_of_losers; create role becomes_member;
      create role leaving; create role after; create role bystander`);
    const grantors = ['becomes_superuser', 'loses_option', 'becomes_member'];
    for (const [, on, privilege] of kinds) {
      for (const grantor of grantors) {
        await inApp(`grant ${privilege} on ${on} to ${grantor}, group_of_losers with grant option; set role ${grantor};
          grant ${privilege} on ${on} to leaving with grant option; reset role;`);
      }
      await inApp(
        `set role leaving; grant ${privilege} on ${on} to after; reset role; grant ${privilege} on ${on} to bystander`,
      );
      // The group has it, too, so this does not cascade.
      await inApp(`revoke ${privilege} on ${on} from loses_option cascade`);
    }
    await query(
      target,
      'revoke group_of_losers from loses_option; alter role becomes_superuser superuser; grant cloud_admin to becomes_member',
    );
    await inApp('revoke usage on schema k from public');
    const held = async (role: string): Promise<number> => {
      const rights = [await rightsIn({ ...target, database: 'app' }, false), await rightsIn(target, true)];
      return rights
        .flatMap(({ entries }) => entries)
        .filter(({ grantee, grantor }) => grantee === role || grantor === role).length;
    };
    expect(await held('loses_option')).toBeGreaterThanOrEqual(kinds.length);
    const before = await held('bystander');
    await drop('leaving');
    await isGone('leaving');
    // What it passed on went with it.
    expect(await held('after')).toBe(0);
    expect(await held('bystander')).toBe(before);
    await drop(
      'loses_option',
      'becomes_superuser',
      'becomes_member',
      'after',
      'bystander',
      'group_of_losers',
    );
    for (const name of [...grantors, 'bystander']) await isGone(name);
    expect((await rightsIn({ ...target, database: 'app' }, false)).inconsistent).toEqual([]);
  });

  test('a grant on a column stays when the same on its table goes with the role that passed it on', async () => {
    await inApp(`create schema c; create table c.t (a int, b int); grant usage on schema c to public;
      create role giver; create role taker; create role last;
      grant select on c.t to giver with grant option; grant select (a) on c.t to taker with grant option;
      set role giver; grant select on c.t to taker with grant option;
      set role taker; grant select (a) on c.t to last`);
    await drop('giver');
    expect(
      await appValue(
        `select array_agg(attname || ' ' || attacl::text) from pg_attribute where attrelid = 'c.t'::regclass and attacl is not null`,
      ),
    ).toEqual(['a {taker=r*/cloud_admin,last=r/taker}']);
    expect(await appValue(`select has_table_privilege('taker', 'c.t', 'select')`)).toBe(false);
  });

  test('an ACL from which every entry goes means nobody, not the default', async () => {
    await inApp(`create schema n; grant usage on schema n to public; create function n.f() returns int language sql as 'select 1'; create role only_one;
      grant execute on function n.f() to only_one with grant option; set role only_one; grant execute on function n.f() to only_one;
      reset role; revoke execute on function n.f() from public; revoke execute on function n.f() from cloud_admin`);
    await inApp(
      `update pg_proc set proacl = array['only_one=X/only_one'::aclitem] where oid = 'n.f()'::regprocedure`,
    );
    await drop('only_one');
    await isGone('only_one');
    expect(await appValue(`select proacl::text from pg_proc where oid = 'n.f()'::regprocedure`)).toBe('{}');
    expect(await appValue(`select has_function_privilege('ann', 'n.f()', 'execute')`)).toBe(false);
  });

  test('what only a superuser may own goes to the admin role, tables to the owner of the database, and nothing is dropped', async () => {
    await query(target, 'create role dba superuser');
    await inApp(`create schema d; set role dba; create extension postgres_fdw schema d; create extension hstore schema d;
      create function d.on_ddl() returns event_trigger language plpgsql as 'begin end';
      create event trigger of_dba on ddl_command_end execute function d.on_ddl();
      create function d.of_c(hstore_in cstring) returns d.hstore language c strict as '$libdir/hstore', 'hstore_in';
      create table d.t (id serial primary key, h d.hstore); insert into d.t values (1, 'a=>1');
      create function d.plain() returns int language sql security definer as 'select 1';
      create server far foreign data wrapper postgres_fdw; create user mapping for ann server far;
      create publication everything for all tables`);
    await drop('dba');
    await isGone('dba');
    const owners = `select e.extname as name, pg_get_userbyid(e.extowner) as owner from pg_extension e where e.extname in ('postgres_fdw', 'hstore')
      union all select evtname, pg_get_userbyid(evtowner) from pg_event_trigger where evtname = 'of_dba'
      union all select fdwname, pg_get_userbyid(fdwowner) from pg_foreign_data_wrapper where fdwname = 'postgres_fdw'
      union all select srvname, pg_get_userbyid(srvowner) from pg_foreign_server where srvname = 'far'
      union all select pubname, pg_get_userbyid(pubowner) from pg_publication where pubname = 'everything'
      union all select typname, pg_get_userbyid(typowner) from pg_type where typname = 'hstore'
      union all select proname, pg_get_userbyid(proowner) from pg_proc where proname in ('on_ddl', 'of_c', 'plain', 'hstore_in')
      union all select relname, pg_get_userbyid(relowner) from pg_class where relname in ('t', 't_id_seq') and relnamespace = 'd'::regnamespace
      order by 1`;
    expect(await query({ ...target, database: 'app' }, owners)).toEqual(
      Object.entries({
        everything: 'cloud_admin',
        far: 'ann',
        hstore: 'cloud_admin',
        hstore_in: 'cloud_admin',
        of_c: 'cloud_admin',
        of_dba: 'cloud_admin',
        on_ddl: 'cloud_admin',
        plain: 'ann',
        postgres_fdw: 'cloud_admin',
        t: 'ann',
        t_id_seq: 'ann',
      }).flatMap(([name, owner]) =>
        Array.from({ length: name === 'hstore' || name === 'postgres_fdw' ? 2 : 1 }, () => ({ name, owner })),
      ),
    );
    expect(await appValue('select count(*)::int from d.t')).toBe(1);
    expect(await appValue('select count(*)::int from pg_user_mappings')).toBe(1);
    await inApp(
      'drop event trigger of_dba; drop extension postgres_fdw cascade; drop publication everything',
    );
  });

  test('a function of a user that runs with his rights does not go to a superuser', async () => {
    await query(target, 'create role ex_superuser superuser');
    await inApp(`create schema x; set role ex_superuser; create function x.on_ddl() returns event_trigger language plpgsql security definer as 'begin end';
      create event trigger of_ex on ddl_command_end execute function x.on_ddl(); create foreign data wrapper of_ex;
      reset role; alter role ex_superuser nosuperuser`);
    await drop('ex_superuser');
    await isGone('ex_superuser');
    expect(
      await appValue(`select pg_get_userbyid(proowner) from pg_proc where oid = 'x.on_ddl()'::regprocedure`),
    ).toBe('ann');
    expect(
      await appValue(`select pg_get_userbyid(evtowner) from pg_event_trigger where evtname = 'of_ex'`),
    ).toBe('cloud_admin');
    expect(
      await appValue(`select pg_get_userbyid(fdwowner) from pg_foreign_data_wrapper where fdwname = 'of_ex'`),
    ).toBe('cloud_admin');
    await inApp('drop event trigger of_ex');
  });

  test('subscriptions of a role survive it, also in a database that is not listed', async () => {
    await query(target, 'create role subscriber superuser; create role ex_subscriber superuser');
    await query(target, 'create database elsewhere');
    for (const database of ['app', 'elsewhere']) {
      for (const role of ['subscriber', 'ex_subscriber']) {
        await query(
          { ...target, database },
          `set role ${role}; create subscription ${role} connection 'host=/nowhere password=x' publication p with (connect = false, slot_name = none);
          set role cloud_admin; update pg_subscription set subenabled = true where subname = '${role}' and subdbid = (select oid from pg_database where datname = current_database())`,
        );
      }
    }
    await query(target, 'alter role ex_subscriber nosuperuser');
    await drop('subscriber', 'ex_subscriber');
    const rows = await query(
      target,
      `select d.datname, s.subname, s.subenabled, pg_get_userbyid(s.subowner) as owner from pg_subscription s join pg_database d on d.oid = s.subdbid order by 1, 2`,
    );
    const plain = postgres.major >= 16;
    expect(rows).toEqual(
      ['app', 'elsewhere'].flatMap((datname) => [
        {
          datname,
          subname: 'ex_subscriber',
          subenabled: plain,
          owner: plain ? 'neon_superuser' : 'cloud_admin',
        },
        { datname, subname: 'subscriber', subenabled: true, owner: 'cloud_admin' },
      ]),
    );
    for (const database of ['app', 'elsewhere'])
      await query(
        { ...target, database },
        'alter subscription subscriber disable; alter subscription ex_subscriber disable; drop subscription subscriber; drop subscription ex_subscriber',
      );
    await query(target, 'drop database elsewhere');
  });

  test('default privileges, policies, user mappings and publications let a role go, and keep what is for others', async () => {
    await inApp(`create schema p; create role policed; create role other; create table p.t (a int); alter table p.t enable row level security;
      create policy shared on p.t to policed, other; create policy mine on p.t to policed; grant create on schema p to policed;
      create foreign data wrapper w2; create server s2 foreign data wrapper w2; create user mapping for policed server s2; create user mapping for other server s2;
      alter default privileges for role ann grant select on tables to policed, other;
      alter default privileges for role other in schema p grant usage on sequences to policed;
      alter default privileges for role policed revoke execute on functions from public;
      alter default privileges for role policed in schema p grant select on tables to other;
      create publication of_policed; alter publication of_policed owner to policed`);
    await drop('policed');
    await isGone('policed');
    expect(
      await query(
        { ...target, database: 'app' },
        `select polname, polroles::regrole[]::text as roles from pg_policy where polrelid = 'p.t'::regclass`,
      ),
    ).toEqual([{ polname: 'shared', roles: '{other}' }]);
    expect(
      await query(
        { ...target, database: 'app' },
        `select usename from pg_user_mappings where srvname = 's2'`,
      ),
    ).toEqual([{ usename: 'other' }]);
    expect(
      await query(
        { ...target, database: 'app' },
        `select defaclrole::regrole::text as role, defaclacl::text as acl from pg_default_acl where defaclrole <> 'cloud_admin'::regrole`,
      ),
    ).toEqual([
      { role: 'ann', acl: '{ann=arwdDxtm/ann,other=r/ann}'.replace('m/', postgres.major < 17 ? '/' : 'm/') },
    ]);
    expect(
      await appValue(`select pg_get_userbyid(pubowner) from pg_publication where pubname = 'of_policed'`),
    ).toBe('ann');
  });

  test('databases, tablespaces and memberships that a role gave stay', async () => {
    await query(target, 'create role boss createrole createdb login');
    await query(target, `create tablespace of_boss owner boss location ''`);
    await query(target, 'create database of_boss owner boss');
    await query(
      target,
      `set role boss; create role team; create role mate; create role lead; reset role;
      grant team to boss with admin option; set role boss; grant team to lead with admin option; grant team to mate`,
    );
    await query(target, 'set role lead; grant team to ann');
    const others = (all: Awaited<ReturnType<typeof memberships>>): typeof all =>
      all.filter(({ member }) => member !== 'boss');
    const before = others(await memberships(target));
    await drop('boss');
    await isGone('boss');
    expect(others(await memberships(target))).toEqual(before);
    expect(
      await value(target, `select pg_get_userbyid(datdba) from pg_database where datname = 'of_boss'`),
    ).toBe('neon_superuser');
    expect(
      await value(target, `select pg_get_userbyid(spcowner) from pg_tablespace where spcname = 'of_boss'`),
    ).toBe('neon_superuser');
  });

  test('what is created as the role during the pass is not dropped', async () => {
    await inApp(
      'create schema r; create role creator login; grant all on schema r to creator; grant creator to ann',
    );
    const options = { applicationName: 'test', connectMs: 10_000, database: 'app', signal: never };
    const own = await connectPg({ ...target, user: 'creator' }, options);
    const member = await connectPg(target, options);
    await own.query('begin; create table r.of_own (a int)');
    await member.query('set role creator; begin; create table r.of_member (a int)');
    const dropping = drop('creator');
    // The session of the role itself ends; that of the member is waited for.
    await expect
      .poll(() => value(target, `select count(*)::int from pg_stat_activity where usename = 'creator'`))
      .toBe(0);
    await expect(own.query('select 1')).rejects.toThrow();
    await member.query('commit');
    await dropping;
    await member.end();
    await isGone('creator');
    expect(
      await appValue(
        `select array_agg(relname || ' ' || pg_get_userbyid(relowner)) from pg_class where relnamespace = 'r'::regnamespace`,
      ),
    ).toEqual(['of_member ann']);
  });

  test('a prepared transaction that created something as the role is named, and keeps it', async () => {
    await inApp('create schema o; create role preparer; grant all on schema o to preparer');
    await inApp("begin; set local role preparer; create table o.prepared (a int); prepare transaction 'odd'");
    await expect(drop('preparer')).rejects.toMatchObject({
      cause: expect.objectContaining({ message: expect.stringContaining(`prepared transaction 'odd'`) }),
    });
    await inApp(`commit prepared 'odd'`);
    await drop('preparer');
    await isGone('preparer');
    expect(await appValue(`select pg_get_userbyid(relowner) from pg_class where relname = 'prepared'`)).toBe(
      'ann',
    );
  });
});
