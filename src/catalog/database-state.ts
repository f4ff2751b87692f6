import { type Sql, ident, integer, literal, sql } from '../core/sql.ts';
import type { PgClient } from '../pg/client.ts';
import type { CatalogInput } from './input.ts';
import type { Database } from '../spec/schema.ts';
import { type DatabaseState, type Observed, type ObservedDatabase, major } from './observed.ts';

/** SQL conditions. Each is true when the current database's schema `public` requires a change. */
export type DatabaseStateConditions = Readonly<Record<keyof DatabaseState, Sql>>;

/** @param owner OID of the database's owner, by the spec: its name may have no equivalent in the database's encoding
 *  @param webAccess whether this server's role `web_access` requires its own privilege */
export function insideConditions(
  input: CatalogInput,
  owner: Sql,
  webAccess: boolean,
): DatabaseStateConditions {
  return {
    owner: sql`exists (
      select from pg_catalog.pg_namespace n join pg_catalog.pg_authid o on o.oid = n.nspowner
      where n.nspname = 'public' and o.rolname in (${formerOwners(input)}) and o.oid <> ${owner})`,
    mark: sql`exists (
      select from pg_catalog.pg_namespace n cross join pg_catalog.pg_authid b
      where n.nspname = 'public' and b.oid = 10 and b.rolname in (${formerOwners(input)}) and n.nspowner <> 10
        and not exists (
          select from pg_catalog.pg_shdepend m
          where m.dbid = ${currentDatabase} and m.classid = 2615 and m.objid = n.oid and m.objsubid = 0
            and m.refclassid = 1260 and m.refobjid = 10 and m.deptype = 'a'))`,
    webAccess: webAccess
      ? sql`exists (
      select from pg_catalog.pg_namespace n join pg_catalog.pg_authid w on w.rolname = 'web_access'
      where n.nspname = 'public' and not exists (
        select from pg_catalog.aclexplode(n.nspacl) a where a.grantee = w.oid and a.privilege_type = 'CREATE'))`
      : sql`false`,
    tables: lacksDefaults(input, literal('r'), literal('r')),
    sequences: lacksDefaults(input, literal('S'), literal('s')),
  };
}

const currentDatabase = sql`(select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())`;

/** The superusers whose schema `public` becomes that of the database's owner. */
const formerOwners = ({ adminRole }: CatalogInput): Sql => sql`${literal(adminRole)}, 'zenith_admin'`;

/** Makes the server remember, in a shared catalog, that `public` does not belong to the superuser from initdb.
 *
 *  Everybody else who owns a schema has a row in `pg_shdepend`, which can be read from any database. This superuser, whom
 *  nobody can drop, has none, and neither has `pg_database_owner`: from outside the two look the same. So we add the row
 *  that says that this superuser has privileges on the schema. The server never creates it and never reads it. But it
 *  removes it when the schema becomes that superuser's, because an owner's privileges have no row; also when the schema or
 *  the database is dropped. It copies it to databases that are created from this one. */
const mark = sql`insert into pg_catalog.pg_shdepend (dbid, classid, objid, objsubid, refclassid, refobjid, deptype)
    select ${currentDatabase}, 2615, n.oid, 0, 1260, 10, 'a' from pg_catalog.pg_namespace n where n.nspname = 'public'`;

/** The privileged role lacks one of the privileges, or its grant option, that this version knows for such objects. */
const lacksDefaults = (input: CatalogInput, kind: Sql, defaultKind: Sql): Sql => sql`exists (
      select from pg_catalog.pg_namespace n
      join pg_catalog.pg_authid o on o.rolname = ${literal(input.adminRole)}
      cross join lateral pg_catalog.aclexplode(pg_catalog.acldefault(${defaultKind}, o.oid)) whole
      where n.nspname = 'public' and not exists (
        select from pg_catalog.pg_default_acl d
        cross join lateral pg_catalog.aclexplode(d.defaclacl) a
        join pg_catalog.pg_authid p on p.oid = a.grantee
        where d.defaclrole = o.oid and d.defaclnamespace = n.oid and d.defaclobjtype = ${kind}
          and p.rolname = ${literal(input.privilegedRole)} and a.privilege_type = whole.privilege_type and a.is_grantable))`;

export const wantsWebAccess = (observed: Observed): boolean =>
  major(observed) >= 15 && observed.roles.has('web_access');

/** Whether the database may require a change that the shared catalogs cannot rule out. Always true for a database
 *  without a schema `public`, never for the system database.
 *  @param owner of the database, by the spec */
export function needsInspection(
  input: CatalogInput,
  observed: Observed,
  { name, owner }: Pick<Database, 'name' | 'owner'>,
): boolean {
  const database = observed.databases.get(name);
  if (database === undefined || name === input.systemDatabase) return false;
  if (!database.connectable || database.invalid) return false;
  if (input.again !== null && !input.again.databases.has(name)) return false;
  if (input.verify || database.defaultPrivileges < 2) return true;
  if (mayHoldPublic(input, observed, database, owner)) return true;
  return wantsWebAccess(observed) && !database.webAccess;
}

/** Whether one of the superusers who must not keep it may own the schema `public`. */
function mayHoldPublic(
  { adminRole }: CatalogInput,
  { firstSuperuser }: Observed,
  { publicMarked, schemaOwners }: ObservedDatabase,
  owner: string,
): boolean {
  const former = [adminRole, 'zenith_admin'].filter((name) => name !== owner);
  return former.some((name) => (name === firstSuperuser ? !publicMarked : schemaOwners.includes(name)));
}

/** Inspects the database that `client` is connected to. */
export async function readDatabaseState(
  client: PgClient,
  input: CatalogInput,
  observed: Observed,
  owner: string,
): Promise<DatabaseState> {
  const {
    owner: schema,
    mark: unmarked,
    webAccess,
    tables,
    sequences,
  } = insideConditions(input, integer(observed.roles.get(owner)?.oid ?? 0), wantsWebAccess(observed));
  const statement = sql`select ${schema} as owner, ${unmarked} as mark, ${webAccess} as "webAccess", ${tables} as tables, ${sequences} as sequences`;
  const { rows } = await client.query<DatabaseState>(statement.reveal());
  const [row] = rows;
  if (row === undefined) throw new Error('the query of the catalogs returned no row');
  return row;
}

/** The database's owner: when the schema is changed, the one of the spec. */
const currentOwner = sql`(
    select d.datdba from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())`;

/** Changes the schema so that all conditions become false; writes nothing when all are false already. */
export function repair(input: CatalogInput, observed: Observed): Sql {
  const {
    owner: schema,
    mark: unmarked,
    webAccess,
    tables,
    sequences,
  } = insideConditions(input, currentOwner, wantsWebAccess(observed));
  const defaults = sql`alter default privileges for role ${ident(input.adminRole)} in schema public grant all privileges`;
  const heir = sql`to ${ident(input.privilegedRole)} with grant option`;
  return sql`
begin
  if ${schema} then
    execute pg_catalog.format('alter schema public owner to %I', pg_catalog.pg_get_userbyid(${currentOwner}));
  end if;
  if ${unmarked} then ${mark}; end if;
  if ${webAccess} then grant create on schema public to web_access; end if;
  if ${tables} then ${defaults} on tables ${heir}; end if;
  if ${sequences} then ${defaults} on sequences ${heir}; end if;
end
`;
}
