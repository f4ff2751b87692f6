import { type Sql, sql } from '../../core/sql.ts';

/** PL/pgSQL: gives the superuser `admin` what `heir`, who is not a superuser, may not own: event triggers and foreign data
 *  wrappers. And where role `gone` is a superuser itself, what others run with their own rights and only a superuser may
 *  create: languages, functions in untrusted languages, those of event triggers and foreign data wrappers, and
 *  extensions with their members. A heir could replace their code; the admin has no more rights than the role had.
 *
 *  There is no statement for an extension's owner alone, so that is set in the catalog. */
export const reserve = (major: number): Sql => sql`
declare
  object record;
begin
  for object in
    select i.identity, case i.type
      when 'foreign-data wrapper' then 'foreign data wrapper' when 'statistics object' then 'statistics'
      when 'composite type' then 'type'
      when 'function' then 'routine' when 'procedure' then 'routine' when 'aggregate' then 'routine'
      else i.type end as kind
    from pg_catalog.pg_shdepend s
    cross join lateral pg_catalog.pg_identify_object(s.classid, s.objid, 0) i
    where s.dbid = here and s.refclassid = 1260 and s.refobjid = gone and s.deptype = 'o' and (
      s.classid in (3466, 2328)
      or gone_is_superuser and s.classid not in (3079, 826, 1418) and (
        s.classid = 2612
        or s.classid = 1255 and exists (
          select from pg_catalog.pg_proc p join pg_catalog.pg_language l on l.oid = p.prolang
          where p.oid = s.objid and not l.lanpltrusted)
        or s.classid = 1255 and s.objid in (
          select e.evtfoid from pg_catalog.pg_event_trigger e
          union all select w.fdwhandler from pg_catalog.pg_foreign_data_wrapper w
          union all select w.fdwvalidator from pg_catalog.pg_foreign_data_wrapper w
          union all select l.lanplcallfoid from pg_catalog.pg_language l
          union all select l.laninline from pg_catalog.pg_language l
          union all select l.lanvalidator from pg_catalog.pg_language l)
        or s.classid = 6104 and (
          exists (select from pg_catalog.pg_publication p where p.oid = s.objid and p.puballtables) ${ofSchemas(major)})
        or exists (
          select from pg_catalog.pg_depend m join pg_catalog.pg_extension x on x.oid = m.refobjid
          where m.classid = s.classid and m.objid = s.objid and m.objsubid = 0
            and m.refclassid = 3079 and m.deptype = 'e' and x.extowner = gone)))
      -- A sequence of a column follows its table.
      and not (s.classid = 1259 and exists (
        select from pg_catalog.pg_depend c
        where c.classid = 1259 and c.objid = s.objid and c.refclassid = 1259 and c.refobjsubid > 0
          and c.deptype in ('a', 'i')))
  loop
    execute pg_catalog.format('alter %s %s owner to %I', object.kind, object.identity, pg_catalog.pg_get_userbyid(admin));
  end loop;
  if gone_is_superuser then
    update pg_catalog.pg_extension set extowner = admin where extowner = gone;
    -- PostgreSQL keeps no such row for the superuser from initdb.
    update pg_catalog.pg_shdepend set refobjid = admin
    where dbid = here and classid = 3079 and refclassid = 1260 and refobjid = gone and deptype = 'o' and admin <> 10;
    delete from pg_catalog.pg_shdepend
    where dbid = here and classid = 3079 and refclassid = 1260 and refobjid = gone and deptype = 'o';
  end if;
end;
`;

const ofSchemas = (major: number): Sql =>
  major < 15
    ? sql``
    : sql`or exists (select from pg_catalog.pg_publication_namespace p where p.pnpubid = s.objid)`;

/** Before PostgreSQL 16 only a superuser may own a subscription. The one of a role that is no superuser any more stops:
 *  its worker would run the triggers of the tables' owners as superuser. To be run in the subscription's database. */
export const reserveSubscriptions = (role: Sql): Sql => sql`
declare
  gone constant pg_catalog.oid := ${role};
  subscription pg_catalog.name;
begin
  for subscription in
    select s.subname from pg_catalog.pg_subscription s
    where s.subowner = gone
      and s.subdbid = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
  loop
    if not (select r.rolsuper from pg_catalog.pg_authid r where r.oid = gone) then
      execute pg_catalog.format('alter subscription %I disable', subscription);
    end if;
    execute pg_catalog.format('alter subscription %I owner to %I', subscription, session_user);
  end loop;
end
`;
