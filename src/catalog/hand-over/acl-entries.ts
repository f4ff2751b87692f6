import { type Sql, sql } from '../../core/sql.ts';
import { objectWithAcl } from './acl-kinds.ts';

/** Where an ACL is stored: SQL expressions that return the catalog, its column, and the condition for the row. */
const stored = sql`
      case when s.objsubid <> 0 then 'pg_attribute' when s.classid = 2613 then 'pg_largeobject_metadata' else c.relname end as catalog,
      (select t.attname from pg_catalog.pg_attribute t
       where t.attrelid = case when s.objsubid <> 0 then 1249 when s.classid = 2613 then 2995 else s.classid end
         and t.atttypid = 1034 and t.attnum > 0) as stored_in,
      case when s.objsubid <> 0 then pg_catalog.format('attrelid = %s and attnum = %s', s.objid, s.objsubid)
        else pg_catalog.format('oid = %s', s.objid) end as place,
      case when s.objsubid <> 0 then pg_catalog.format('(%I)', (
        select t.attname from pg_catalog.pg_attribute t where t.attrelid = s.objid and t.attnum = s.objsubid)) end as only_column`;

/** PL/pgSQL: takes role `gone` out of every ACL of the current database, and of the shared objects, in which it has entries
 *  that the object's owner did not make.
 *
 *  REVOKE cannot do that. It never says whose entry it removes: for a superuser it removes the owner's; for another role
 *  those of the first role with the grant options that it has the privileges of. So it misses an entry whose grantor is a
 *  superuser by now, or lost its grant option while a role of which it is a member kept one. As the grantor, it also
 *  requires USAGE on each schema in the object's name. So the entries are removed from the ACL itself.
 *
 *  What the role passed on with its grant option goes with it, by PostgreSQL's own rules: each such grant option is given
 *  by the owner, too, and revoked with CASCADE when the role's own entry is gone. The ACLs of a table's columns are put
 *  aside meanwhile, because a REVOKE on the table would include the owner's grants on columns.
 *
 *  @see select_best_grantor and recursive_revoke of PostgreSQL */
export const removeEntries = (major: number): Sql => sql`
declare
  object record;
  grants pg_catalog._text;
  revokes pg_catalog._text;
  command pg_catalog.text;
  remaining pg_catalog._aclitem;
  put_aside pg_catalog._aclitem;
  put_aside_of pg_catalog._int2;
begin
  for object in
    select s.dbid, s.classid, s.objid, s.objsubid, o.acl, o.owner, o.kind, o.name, ${stored}
    from pg_catalog.pg_shdepend s
    join pg_catalog.pg_class c on c.oid = s.classid
    cross join lateral (${objectWithAcl(major)}) o
    where s.refclassid = 1260 and s.refobjid = gone and s.deptype = 'a' and s.dbid in (0, here)
      and exists (
        select from pg_catalog.aclexplode(o.acl) a where a.grantor <> o.owner and gone in (a.grantor, a.grantee))
  loop
    select
      coalesce(pg_catalog.array_agg(pg_catalog.format('grant %s with grant option',
        pg_catalog.format('%s %s on %s %s to %I', p.privilege, object.only_column, object.kind, object.name, p.grantee))), '{}'),
      coalesce(pg_catalog.array_agg(pg_catalog.format('revoke %s %s cascade', case when p.held then 'grant option for' end,
        pg_catalog.format('%s %s on %s %s from %I', p.privilege, object.only_column, object.kind, object.name, p.grantee))), '{}')
      into grants, revokes
    from (
      select a.privilege_type as privilege, pg_catalog.pg_get_userbyid(a.grantee) as grantee, b.grantee is not null as held
      from pg_catalog.aclexplode(object.acl) a
      left join pg_catalog.aclexplode(object.acl) b
        on b.grantor = object.owner and b.grantee = a.grantee and b.privilege_type = a.privilege_type
      where a.grantor = gone and a.grantor <> object.owner and a.is_grantable and a.grantee not in (gone, object.owner)
        and b.is_grantable is not true
    ) p;
    -- An ACL without entries is not the empty array of SQL, and only REVOKE makes one.
    if not exists (
      select from pg_catalog.aclexplode(object.acl) a where gone not in (a.grantor, a.grantee))
    then
      command := (
        select pg_catalog.format('%s %s on %s %s', a.privilege_type, object.only_column, object.kind, object.name)
        from pg_catalog.aclexplode(object.acl) a limit 1);
      grants := grants || pg_catalog.format('grant %s to %I', command, pg_catalog.pg_get_userbyid(object.owner));
      revokes := revokes || pg_catalog.format('revoke %s from %I', command, pg_catalog.pg_get_userbyid(object.owner));
    end if;
    put_aside_of := null;
    if object.classid = 1259 and object.objsubid = 0 and pg_catalog.cardinality(revokes) > 0 then
      select pg_catalog.array_agg(i.item order by t.attnum, i.place), pg_catalog.array_agg(t.attnum order by t.attnum, i.place)
        into put_aside, put_aside_of
      from pg_catalog.pg_attribute t cross join lateral pg_catalog.unnest(t.attacl) with ordinality i (item, place)
      where t.attrelid = object.objid;
      update pg_catalog.pg_attribute set attacl = null
      where attrelid = object.objid and attnum = any (put_aside_of);
    end if;
    foreach command in array grants loop
      execute command;
    end loop;
    execute pg_catalog.format(
      'update pg_catalog.%1$I set %2$I = (
         select pg_catalog.array_agg(i.item order by i.place) from pg_catalog.unnest(%2$I) with ordinality as i (item, place)
         where not exists (select from pg_catalog.aclexplode(array[i.item]) a where $1 in (a.grantor, a.grantee)))
       where %3$s returning %2$I', object.catalog, object.stored_in, object.place)
      into remaining using gone;
    -- A grantor without another entry would count as referred to for good. Roles of initdb have no such references.
    delete from pg_catalog.pg_shdepend d
    where d.dbid = object.dbid and d.classid = object.classid and d.objid = object.objid and d.objsubid = object.objsubid
      and d.refclassid = 1260 and d.deptype = 'a' and d.refobjid >= 16384
      and not exists (select from pg_catalog.aclexplode(remaining) a where d.refobjid in (a.grantor, a.grantee));
    foreach command in array revokes loop
      execute command;
    end loop;
    update pg_catalog.pg_attribute t set attacl = (
      select pg_catalog.array_agg(i.item order by i.place)
      from rows from (pg_catalog.unnest(put_aside), pg_catalog.unnest(put_aside_of)) with ordinality i (item, at, place) where i.at = t.attnum)
    where t.attrelid = object.objid and t.attnum = any (put_aside_of) and object.classid = 1259;
  end loop;
end;
`;
