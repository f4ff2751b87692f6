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

const query = `
select pg_catalog.json_build_object(
  'roles', (
    select pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', r.rolname, 'encrypted_password', r.rolpassword, 'options', null) order by r.oid)
    from pg_catalog.pg_authid r),
  'databases', (
    select pg_catalog.json_agg(pg_catalog.json_build_object(
      'name', d.datname, 'owner', coalesce(o.rolname, d.datdba::pg_catalog.text), 'options', null,
      'restrict_conn', not d.datallowconn, 'invalid', d.datconnlimit = -2) order by d.oid)
    from pg_catalog.pg_database d left join pg_catalog.pg_authid o on o.oid = d.datdba)) as found`;

/** Every role and database of the server, system roles and templates too, as of one moment.
 *  @throws ComputeError `sql` */
export async function readDbsAndRoles(target: PgTarget, signal: AbortSignal): Promise<DbsAndRoles> {
  const session = { target, name: 'get_dbs_and_roles', statementMs, readOnly: true };
  try {
    const { rows } = await withOwnPg(session, signal, (pg) => pg.query<{ found: DbsAndRoles }>(query));
    return rows[0]?.found ?? { roles: [], databases: [] };
  } catch (error) {
    signal.throwIfAborted();
    throw sqlFailure('reading databases and roles', error);
  }
}
