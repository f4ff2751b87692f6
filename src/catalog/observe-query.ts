/** Reads the shared catalogs and the system database in one statement, and so in one snapshot.
 *  $1 names of roles, $2 privileged role, $3 roles to be deleted, $4 longest password to read, in bytes, $5 whether to
 *  read the setting of pgaudit. Values that users can make long are limited.
 *
 *  Two rows of `pg_shdepend` show that the work inside a database is done: each entry of default privileges that grants
 *  something to the privileged role has a row there. It can be read from any database, and disappears with the schema,
 *  the database or the grant. Entries for objects of roles other than the superuser have a second row, their owner's;
 *  the superuser from initdb has none, because it can never be dropped. `marked` are the
 *  schemas that do not belong to that superuser: our own rows, see `mark` in database-state.ts. */
export const observeQuery = `
with privileged as (
  select r.oid from pg_catalog.pg_authid r where r.rolname = $2::pg_catalog.name
), admin as (
  select r.oid from pg_catalog.pg_authid r where r.rolname = current_user
), default_privileges as (
  select d.dbid, pg_catalog.count(distinct d.objid) as entries
  from pg_catalog.pg_shdepend d
  where d.refclassid = 1260 and d.refobjid = (select p.oid from privileged p)
    and d.classid = 826 and d.deptype = 'a'
    and not exists (
      select from pg_catalog.pg_shdepend o
      where o.dbid = d.dbid and o.classid = 826 and o.objid = d.objid and o.deptype = 'o'
        and o.refobjid <> (select a.oid from admin a))
  group by d.dbid
), web_access as (
  select distinct d.dbid
  from pg_catalog.pg_shdepend d
  where d.refclassid = 1260 and d.classid = 2615 and d.deptype = 'a'
    and d.refobjid = (select r.oid from pg_catalog.pg_authid r where r.rolname = 'web_access')
), marked as (
  select distinct d.dbid, d.objid
  from pg_catalog.pg_shdepend d
  where d.refclassid = 1260 and d.refobjid = 10 and d.classid = 2615 and d.deptype = 'a'
), marked_databases as (
  select distinct m.dbid from marked m
), schema_owners as (
  select d.dbid, pg_catalog.json_agg(distinct r.rolname::pg_catalog.text) as names
  from pg_catalog.pg_authid r
  join pg_catalog.pg_shdepend d on d.refclassid = 1260 and d.refobjid = r.oid and d.classid = 2615 and d.deptype = 'o'
  left join marked m on m.dbid = d.dbid
  where (r.rolname = current_user or r.rolname = 'zenith_admin') and (m.objid is null or m.objid = d.objid)
  group by d.dbid
), subscriptions as (
  select s.subdbid, pg_catalog.count(*) as amount from pg_catalog.pg_subscription s group by s.subdbid
)
select pg_catalog.json_build_object(
  'at', pg_catalog.clock_timestamp(),
  'version', pg_catalog.current_setting('server_version_num')::pg_catalog.int4,
  'searchPath', pg_catalog.current_setting('search_path'),
  'preload', pg_catalog.current_setting('shared_preload_libraries'),
  'superuser', (select r.rolsuper from pg_catalog.pg_authid r where r.rolname = current_user),
  'firstSuperuser', (select r.rolname from pg_catalog.pg_authid r where r.oid = 10),
  'roles', (
    select pg_catalog.json_agg(pg_catalog.json_build_array(
      r.rolname, r.oid::pg_catalog.int8, r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb, r.rolcanlogin,
      r.rolreplication, r.rolbypassrls, r.rolconnlimit, r.rolvaliduntil::pg_catalog.text,
      case when pg_catalog.octet_length(r.rolpassword) > $4::pg_catalog.int4 then '' else r.rolpassword end))
    from pg_catalog.pg_authid r where r.rolname = any ($1::pg_catalog.name[])),
  'databases', (
    select pg_catalog.json_agg(pg_catalog.json_build_array(
      d.datname, d.oid::pg_catalog.int8, o.rolname, coalesce(o.rolsuper, false), d.datallowconn, d.datconnlimit = -2, d.datistemplate,
      d.datacl is null, d.oid < 16384, coalesce(s.amount, 0), coalesce(p.entries, 0), w.dbid is not null,
      m.dbid is not null, n.names))
    from pg_catalog.pg_database d
    left join pg_catalog.pg_authid o on o.oid = d.datdba
    left join subscriptions s on s.subdbid = d.oid
    left join default_privileges p on p.dbid = d.oid
    left join web_access w on w.dbid = d.oid
    left join marked_databases m on m.dbid = d.oid
    left join schema_owners n on n.dbid = d.oid),
  'references', (
    select pg_catalog.json_agg(distinct pg_catalog.jsonb_build_array(r.rolname, d.dbid::pg_catalog.int8))
    from pg_catalog.pg_shdepend d join pg_catalog.pg_authid r on r.oid = d.refobjid
    where d.refclassid = 1260 and r.rolname = any ($3::pg_catalog.name[])),
  'subscribers', (
    select pg_catalog.json_agg(distinct pg_catalog.jsonb_build_array(r.rolname, s.subdbid::pg_catalog.int8))
    from pg_catalog.pg_subscription s join pg_catalog.pg_authid r on r.oid = s.subowner
    where r.rolname = any ($3::pg_catalog.name[])),
  'extensions', (
    select pg_catalog.json_agg(pg_catalog.json_build_array(e.extname, e.extversion, n.nspname, e.extrelocatable))
    from pg_catalog.pg_extension e join pg_catalog.pg_namespace n on n.oid = e.extnamespace),
  'schemas', (
    select pg_catalog.json_agg(pg_catalog.json_build_array(
      n.nspname, o.rolname,
      o.rolsuper and not exists (
        select from pg_catalog.pg_class c join pg_catalog.pg_authid u on u.oid = c.relowner
        where c.relnamespace = n.oid and not u.rolsuper
          and c.relname in ('operation_done', 'migration_id', 'drop_subscriptions_done', 'subscriptions_left')),
      (select pg_catalog.json_agg(c.relname) from pg_catalog.pg_class c
       where c.relnamespace = n.oid and c.relkind = 'r'
         and c.relname in ('operation_done', 'migration_id', 'drop_subscriptions_done', 'subscriptions_left'))))
    from pg_catalog.pg_namespace n join pg_catalog.pg_authid o on o.oid = n.nspowner
    where n.nspname in ('neon', 'neon_migration')),
  'auditOfSystem', case when $5::pg_catalog.bool then (
    select pg_catalog.substr(s.setting, 13, 64)
    from pg_catalog.pg_db_role_setting c, pg_catalog.unnest(c.setconfig) as s (setting)
    where c.setrole = 0 and pg_catalog.starts_with(s.setting, 'pgaudit.log=')
      and c.setdatabase = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
    limit 1) end
) as observed`;
