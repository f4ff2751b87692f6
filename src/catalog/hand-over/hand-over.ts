import { type Sql, body, integer, join, literal, sql } from '../../core/sql.ts';
import { removeEntries } from './acl-entries.ts';
import { awaitCreators, dropPrivileges, keepMemberships } from './drop-owned.ts';
import { reserve } from './reserved.ts';

export interface HandOver {
  /** OID of the role that goes. */
  readonly role: number;
  /** OIDs of all roles that go. */
  readonly dropped: readonly number[];
  /** The objects go to the database's owner, else to the superuser that we log in as. */
  readonly toOwner: boolean;
  /** Name of the role that inherits in place of a superuser. */
  readonly privilegedRole: string;
  readonly major: number;
}

/** The statements of one transaction: nothing is revoked or dropped unless everything was handed over. Names of roles
 *  appear in them as OIDs, because a name of the shared catalogs has the bytes of the database where it was given: in a
 *  database with another encoding it may not be possible to write it, only to copy it from the catalog. */
export const handOver = ({ role, dropped, toOwner, privilegedRole, major }: HandOver): readonly Sql[] => {
  const owner = sql`(
    select r.oid from pg_catalog.pg_database d join pg_catalog.pg_authid r on r.oid = d.datdba
    where d.oid = here and r.oid not in (${join(dropped.map(integer))}))`;
  const reassign = sql`
declare
  admin constant pg_catalog.oid := (select r.oid from pg_catalog.pg_authid r where r.rolname = session_user);
  heir pg_catalog.oid := coalesce(${toOwner ? owner : sql`null`}, admin);
  gone_is_superuser constant pg_catalog.bool := (select r.rolsuper from pg_catalog.pg_authid r where r.oid = gone);
begin
  if not gone_is_superuser and (select r.rolsuper from pg_catalog.pg_authid r where r.oid = heir) then
    heir := (select r.oid from pg_catalog.pg_authid r where r.rolname = ${literal(privilegedRole)});
  end if;
  if not (select r.rolsuper from pg_catalog.pg_authid r where r.oid = heir) then
${reserve(major)}
  end if;
  execute pg_catalog.format('reassign owned by %I to %I', pg_catalog.pg_get_userbyid(gone), pg_catalog.pg_get_userbyid(heir));
end;
`;
  return [awaitCreators, reassign, removeEntries(major), keepMemberships(major), dropPrivileges].map(
    (code) =>
      sql`do ${body(sql`
declare
  gone constant pg_catalog.oid := ${integer(role)};
  here constant pg_catalog.oid := (
    select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database());
begin
${code}
end
`)}`,
  );
};
