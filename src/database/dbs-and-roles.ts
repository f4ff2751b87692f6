import { ComputeError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { type Sql, integer, sql } from '../core/sql.ts';
import { sqlFailure } from '../pg/client.ts';
import type { PgTarget } from '../pg/target.ts';
import { withOwnPg } from './own-sql.ts';

export interface DbsAndRoles {
  /** With the stored password hashes, since the control plane takes over changes that were made by SQL. */
  readonly roles: { name: string; encrypted_password: string | null; options: null }[];
  readonly databases: {
    name: string;
    owner: string;
    options: null;
    restrict_conn: boolean;
    invalid: boolean;
  }[];
}

const statementMs = 30_000;
/** More roles or databases are an error: the list is complete or there is none. */
export const maxListed = 100_000;
/** The longest hash that PostgreSQL 18 stores. Earlier ones store whatever a user gives as a hash.
 *  @see src/include/libpq/crypt.h MAX_ENCRYPTED_PASSWORD_LEN */
export const maxHashBytes = 512;

/** No more rows are read than it takes to know that there are too many, and sizes come before values. */
const limit = integer(maxListed);
const tooMany = (table: Sql): Sql => sql`
  exists (select 1 from ${table} offset ${limit})`;

const query = sql`
select ${tooMany(sql`pg_catalog.pg_authid`)} as roles_over, ${tooMany(sql`pg_catalog.pg_database`)} as databases_over,
  (select pg_catalog.count(*) from (select a.rolpassword from pg_catalog.pg_authid a limit ${limit}) r
    where pg_catalog.octet_length(r.rolpassword) > ${integer(maxHashBytes)})::pg_catalog.int4 as long_hashes,
  pg_catalog.json_build_object(
  'roles', (
    select pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', r.rolname, 'encrypted_password',
      case when pg_catalog.octet_length(r.rolpassword) <= ${integer(maxHashBytes)} then r.rolpassword end,
      'options', null) order by r.oid)
    from (select a.oid, a.rolname, a.rolpassword from pg_catalog.pg_authid a limit ${limit}) r),
  'databases', (
    select pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', d.datname, 'owner', coalesce(o.rolname, d.datdba::pg_catalog.text), 'options', null,
      'restrict_conn', not d.datallowconn, 'invalid', d.datconnlimit = -2) order by d.oid)
    from (select b.* from pg_catalog.pg_database b limit ${limit}) d
    left join pg_catalog.pg_authid o on o.oid = d.datdba)) as found`.reveal();

interface Row {
  readonly roles_over: boolean;
  readonly databases_over: boolean;
  readonly long_hashes: number;
  readonly found: DbsAndRoles;
}

/** Every role and database of the server, system roles and templates too, as of one moment. A stored password that is no
 *  hash of any kind, since it is longer than `maxHashBytes`, counts as none.
 *  @throws ComputeError `sql`, also when there are more than `maxListed` */
export async function readDbsAndRoles(target: PgTarget, log: Log, signal: AbortSignal): Promise<DbsAndRoles> {
  const session = { target, name: 'get_dbs_and_roles', statementMs, readOnly: true };
  const { rows } = await withOwnPg(session, signal, (pg) => pg.query<Row>(query)).catch((error: unknown) => {
    signal.throwIfAborted();
    throw sqlFailure('reading databases and roles', error);
  });
  const [row] = rows;
  if (row === undefined) return { roles: [], databases: [] };
  if (row.roles_over || row.databases_over) {
    const what = row.roles_over ? 'roles' : 'databases';
    throw new ComputeError(
      'sql',
      `reading databases and roles failed: there are more than ${maxListed} ${what}`,
    );
  }
  if (row.long_hashes > 0)
    log.warn(
      `${row.long_hashes} roles have a password hash of more than ${maxHashBytes} bytes: shown as none`,
    );
  return row.found;
}
