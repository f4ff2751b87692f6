import { nameFault, checked, ident, join, sql } from '../core/sql.ts';
import { ComputeError } from '../core/errors.ts';
import type { PgTarget } from '../pg/target.ts';
import { keepEventTriggersOut } from './event-triggers.ts';
import { inTransaction } from './lock-holders.ts';
import { inWordsOfServer, withOwnPg } from './own-sql.ts';
import { refuseSystemDatabase, refuseSystemSchema } from './reserved.ts';

export interface SchemaGrant {
  readonly database: string;
  readonly schema: string;
  /** In capitals, as in `GRANT`. */
  readonly privileges: readonly string[];
  readonly role: string;
}

const statementMs = 30_000;
/** Milliseconds to wait for a lock that a user holds. */
const lockMs = 5000;

/** Privileges for the role in the schema's access list; those of PUBLIC and of groups do not count. */
const held = `
select a.privilege_type as privilege
from pg_catalog.pg_namespace n,
  pg_catalog.aclexplode(coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner))) a
where n.nspname = $1::pg_catalog.name
  and a.grantee = (select r.oid from pg_catalog.pg_authid r where r.rolname = $2::pg_catalog.name)`;

/** Grants a role privileges on a schema. Privileges that the role already has are not granted again; if it has them all,
 *  nothing is written, so this also works on a replica.
 *  @throws ComputeError `sql` with the server's message; `bad_request` for impossible names; `spec_shape` for what belongs
 *  to the system */
export async function grantOnSchema(
  grant: SchemaGrant,
  target: PgTarget,
  signal: AbortSignal,
): Promise<void> {
  const { database, schema, role } = grant;
  checkNames({ database, schema, role });
  refuseSystemDatabase(database, target);
  refuseSystemSchema('schema', schema);
  const session = { target, name: 'set_role_grants', database, statementMs, lockMs };
  try {
    await withOwnPg(session, signal, async (pg) => {
      const { rows } = await pg.query<{ privilege: string }>(held, [schema, role]);
      const has = new Set(rows.map(({ privilege }) => privilege));
      const missing = [...new Set(grant.privileges)].filter((privilege) => !has.has(privilege));
      if (missing.length === 0) return;
      const list = join(missing.map((privilege) => checked(privilege, /^[A-Z]+$/)));
      await inTransaction(pg, async () => {
        await keepEventTriggersOut(pg);
        await pg.query(sql`grant ${list} on schema ${ident(schema)} to ${ident(role)}`.reveal());
      });
    });
  } catch (error) {
    signal.throwIfAborted();
    throw inWordsOfServer('failed to grant role privileges to the schema', error);
  }
}

/** @throws ComputeError `bad_request` for a name that no object can have */
export function checkNames(names: Readonly<Record<string, string>>): void {
  for (const [what, name] of Object.entries(names)) {
    const fault = nameFault(name);
    if (fault !== null) throw new ComputeError('bad_request', `the name of the ${what} ${fault}`);
  }
}
