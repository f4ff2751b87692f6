import { type Sql, sql } from '../../core/sql.ts';

/** PL/pgSQL: what `gone` granted as admin of a role is granted by the superuser from initdb instead, so that others keep
 *  their memberships, as they do before PostgreSQL 16. Since then `DROP OWNED` removes them. */
export const keepMemberships = (major: number): Sql =>
  major < 16
    ? sql`null;`
    : sql`
declare
  membership record;
begin
  for membership in
    select pg_catalog.pg_get_userbyid(m.roleid) as role, pg_catalog.pg_get_userbyid(m.member) as member,
      pg_catalog.bool_or(m.admin_option)::pg_catalog.text as admin_option, pg_catalog.bool_or(m.inherit_option)::pg_catalog.text as inherit_option,
      pg_catalog.bool_or(m.set_option)::pg_catalog.text as set_option
    from pg_catalog.pg_auth_members m
    where m.grantor in (gone, 10) and gone not in (m.roleid, m.member)
    group by m.roleid, m.member
    having pg_catalog.bool_or(m.grantor = gone)
  loop
    execute pg_catalog.format('grant %I to %I with admin %s, inherit %s, set %s', membership.role, membership.member,
      membership.admin_option, membership.inherit_option, membership.set_option);
  end loop;
end;
`;

/** From and where: other transactions that have created an object of `gone`. They have a lock on it until they end. */
const creators = sql`
    from pg_catalog.pg_locks l
    where l.locktype = 'object' and l.classid = 1260 and l.objid = gone and l.pid is distinct from pg_catalog.pg_backend_pid()`;

/** PL/pgSQL: ends the sessions of `gone`, and waits, for at most 10 s, until no transaction of another session has created
 *  an object as that role: its members can do that, too. */
export const awaitCreators = sql`
  perform pg_catalog.pg_terminate_backend(a.pid) from pg_catalog.pg_stat_activity a where a.usesysid = gone;
  for attempt in 1..100 loop
    exit when not exists (select ${creators} and l.pid is not null);
    perform pg_catalog.pg_sleep(0.1);
  end loop;
`;

/** PL/pgSQL: revokes what is left of the privileges of `gone`, and removes it from policies. `DROP OWNED` would also drop
 *  what the role owns, so it runs only when nobody can own anything as that role any more: whoever creates an object has to
 *  add the reference to its owner, and cannot while we lock that catalog. */
export const dropPrivileges = sql`
declare
  creating pg_catalog.text;
begin
  lock table pg_catalog.pg_shdepend in share row exclusive mode;
  creating := (
    select pg_catalog.string_agg(coalesce('session ' || l.pid, (
      select pg_catalog.format('prepared transaction %L', x.gid)
      from pg_catalog.pg_locks t join pg_catalog.pg_prepared_xacts x on x.transaction = t.transactionid
      where t.virtualtransaction = l.virtualtransaction and t.locktype = 'transactionid' and t.pid is null)), ', ')
    ${creators});
  if creating is not null then
    raise exception 'objects are being created as this role, by %', creating using errcode = 'object_in_use';
  end if;
  if exists (
    select from pg_catalog.pg_shdepend s
    where s.dbid = here and s.refclassid = 1260 and s.refobjid = gone and s.deptype = 'o' and s.classid not in (826, 1418))
  then
    raise exception 'objects were created as this role meanwhile' using errcode = 'object_in_use';
  end if;
  execute pg_catalog.format('drop owned by %I', pg_catalog.pg_get_userbyid(gone));
end;
`;
