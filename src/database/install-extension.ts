import { ident, sql } from '../core/sql.ts';
import { type PgClient, sqlState } from '../pg/client.ts';
import type { PgTarget } from '../pg/target.ts';
import { keepEventTriggersOut } from './event-triggers.ts';
import { checkNames } from './grants.ts';
import { inTransaction } from './lock-holders.ts';
import { inWordsOfServer, withOwnPg } from './own-sql.ts';
import { refuseSystemDatabase, refuseSystemSchema } from './reserved.ts';

export interface WantedExtension {
  readonly extension: string;
  readonly database: string;
  readonly version: string;
}

/** Long, since an extension's scripts may build indexes. */
const statementMs = 300_000;
/** Milliseconds to wait for a lock that a user holds. */
const lockMs = 10_000;
/** Another session installed it between our check and our statement. */
const raced: readonly (string | null)[] = ['23505', '42710'];

/** Installs an extension in exactly this version in a database: creates it in `public`, or updates it if necessary.
 *  @throws ComputeError `sql` with the server's message; `bad_request` for impossible names; `spec_shape` for what belongs
 *  to the system */
export async function installExtension(
  wanted: WantedExtension,
  target: PgTarget,
  signal: AbortSignal,
): Promise<void> {
  const { extension, database, version } = wanted;
  checkNames({ extension, database, version });
  refuseSystemDatabase(database, target);
  const session = { target, name: 'install_extension', database, statementMs, lockMs };
  try {
    await withOwnPg(session, signal, async (pg) => {
      try {
        await bring(pg, wanted);
      } catch (error) {
        if (!raced.includes(sqlState(error))) throw error;
        await pg.query('rollback');
        await bring(pg, wanted);
      }
    });
  } catch (error) {
    signal.throwIfAborted();
    throw inWordsOfServer('failed to install extension', error);
  }
}

const installed = `
select e.extversion as version, n.nspname as schema
from pg_catalog.pg_extension e join pg_catalog.pg_namespace n on n.oid = e.extnamespace
where e.extname = $1::pg_catalog.name`;

async function bring(pg: PgClient, { extension, version }: WantedExtension): Promise<void> {
  const { rows } = await pg.query<{ version: string; schema: string }>(installed, [extension]);
  const [found] = rows;
  if (found?.version === version) return;
  if (found !== undefined) refuseSystemSchema('extension', found.schema);
  const [name, wanted] = [ident(extension), ident(version)];
  const statement =
    found === undefined
      ? sql`create extension if not exists ${name} schema public version ${wanted}`
      : sql`alter extension ${name} update to ${wanted}`;
  await inTransaction(pg, async () => {
    await keepEventTriggersOut(pg);
    // The privileged role has TRIGGER on tables of extensions in schema public: a trigger of one of its members would run
    // with our rights when the script writes there. Before 17 every session of ours has this.
    await pg.query('set local session_replication_role = replica');
    await pg.query(statement.reveal());
  });
}
