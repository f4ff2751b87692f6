import { ident, sql } from '../core/sql.ts';
import { type PgClient, sqlState } from '../pg/client.ts';
import type { PgTarget } from '../pg/target.ts';
import { checkNames } from './grants.ts';
import { inWordsOfServer, withOwnPg } from './own-sql.ts';

export interface WantedExtension {
  readonly extension: string;
  readonly database: string;
  readonly version: string;
}

/** Long, since an extension's scripts may build indexes. */
const statementMs = 300_000;
/** Another session installed it between our check and our statement. */
const raced: readonly (string | null)[] = ['23505', '42710'];

/** Installs an extension in exactly this version in a database: creates it in `public`, or updates it if necessary.
 *  @throws ComputeError `sql` with the server's message; `bad_request` for impossible names */
export async function installExtension(
  wanted: WantedExtension,
  target: PgTarget,
  signal: AbortSignal,
): Promise<void> {
  const { extension, database, version } = wanted;
  checkNames({ extension, database, version });
  const session = { target, name: 'install_extension', database, statementMs };
  try {
    await withOwnPg(session, signal, async (pg) => {
      try {
        await bring(pg, wanted);
      } catch (error) {
        if (!raced.includes(sqlState(error))) throw error;
        await bring(pg, wanted);
      }
    });
  } catch (error) {
    signal.throwIfAborted();
    throw inWordsOfServer('failed to install extension', error);
  }
}

async function bring(pg: PgClient, { extension, version }: WantedExtension): Promise<void> {
  const { rows } = await pg.query<{ version: string }>(
    'select e.extversion as version from pg_catalog.pg_extension e where e.extname = $1',
    [extension],
  );
  const [found] = rows;
  if (found?.version === version) return;
  const [name, wanted] = [ident(extension), ident(version)];
  const statement =
    found === undefined
      ? sql`create extension if not exists ${name} schema public version ${wanted}`
      : sql`alter extension ${name} update to ${wanted}`;
  await pg.query(statement.reveal());
}
