import { afterRecovery, crashedSince, endOf, endsNow, mayBeCrash } from '../catalog/crash.ts';
import { monotonicMs } from '../core/clock.ts';
import { type ComputeError, explained } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { integer, sql } from '../core/sql.ts';
import type { PgClient } from '../pg/client.ts';
import type { PgTarget } from '../pg/target.ts';
import { withOwnPg } from './own-sql.ts';

/** One version of an extension, and how many databases have it. */
export interface InstalledExtension {
  readonly extname: string;
  readonly version: string;
  readonly n_databases: number;
  /** Whether the owner is the first superuser. */
  readonly owned_by_superuser: boolean;
}

export interface ExtensionStatistics {
  /** RFC 3339, UTC. */
  readonly collected_at: string;
  /** Databases that were looked into. */
  readonly databases: number;
  /** Databases that could not be looked into, for which there was no time, or that are too many. */
  readonly skipped: number;
  readonly extensions: InstalledExtension[];
}

/** The most that are looked into, as in the original; the oldest ones. */
const maxDatabases = 500;
/** Of one database, and of all. */
const maxExtensions = 1000;
/** Milliseconds for one database. Nobody can make a reading of the catalog wait but a superuser. */
const statementMs = 5000;
/** Milliseconds for all of them. */
const totalMs = 120_000;

/** `total` counts also those beyond the limit; `at` is the server's clock. */
const databases = (most: number): string =>
  sql`
select d.oid, d.datname, (pg_catalog.count(*) over ())::pg_catalog.int4 as total,
  pg_catalog.clock_timestamp()::pg_catalog.text as at
from pg_catalog.pg_database d
where d.datallowconn and d.datconnlimit <> -2 order by d.oid limit ${integer(most)}`.reveal();

const extensions = sql`
select e.extname, pg_catalog.left(e.extversion, 100) as version, e.extowner = 10 as super
from pg_catalog.pg_extension e order by e.oid limit ${integer(maxExtensions)}`.reveal();

interface Listed {
  readonly oid: number;
  readonly datname: string;
  readonly total: number;
  readonly at: string;
}

interface Row {
  readonly extname: string;
  readonly version: string;
  readonly super: boolean;
}

export interface Collecting {
  readonly target: PgTarget;
  readonly log: Log;
  readonly crashing: CrashingDatabases;
}

/** Databases that make the server crash when somebody connects to them. */
export interface CrashingDatabases {
  avoids(oid: number): boolean;
  /** The server crashed during a session to it. @param error with which that session ended */
  found(oid: number, name: string, error: ComputeError): void;
}

/** Which extensions are installed in the databases of this Postgres. One connection at a time; a database that cannot be read is
 *  left out, and one that makes Postgres crash ends the round: it is tried again by nobody.
 *  @param most databases that are looked into
 *  @throws ComputeError `sql` when the databases cannot be listed; AbortError */
export async function collectExtensions(
  { target, log, crashing }: Collecting,
  signal: AbortSignal,
  most = maxDatabases,
): Promise<ExtensionStatistics> {
  const endMs = monotonicMs() + totalMs;
  const session = { target, name: 'get_installed_extensions', statementMs, lockMs: 1000, readOnly: true };
  const listed = await withOwnPg(
    session,
    signal,
    async (pg) => (await pg.query<Listed>(databases(most))).rows,
  );
  // The server still accepts connections for a moment after a crash; they end with it.
  const hasCrashed = (at: string): Promise<boolean> => {
    const look = async (pg: PgClient): Promise<boolean> =>
      (await crashedSince(pg, { at })) || (await endsNow(endOf(pg), signal));
    return afterRecovery(() => withOwnPg(session, signal, look), log, signal);
  };
  const counts = new Map<string, InstalledExtension>();
  let read = 0;
  for (const { oid, datname: database, at } of listed) {
    if (monotonicMs() > endMs) break;
    if (crashing.avoids(oid)) continue;
    try {
      const found = await withOwnPg({ ...session, database }, signal, (pg) => pg.query<Row>(extensions));
      for (const row of found.rows) count(counts, row);
      read++;
    } catch (error) {
      signal.throwIfAborted();
      log.info(`the extensions of database ${JSON.stringify(database)} are not counted: ${explained(error)}`);
      // A session may also have been ended by an administrator, or by the network.
      if (!mayBeCrash(database, error) || !(await hasCrashed(at))) continue;
      crashing.found(oid, database, error);
      break;
    }
  }
  return {
    collected_at: new Date().toISOString(),
    databases: read,
    skipped: (listed[0]?.total ?? 0) - read,
    extensions: [...counts.values()],
  };
}

function count(counts: Map<string, InstalledExtension>, { extname, version, super: own }: Row): void {
  const key = JSON.stringify([extname, version, own]);
  const known = counts.get(key);
  if (known === undefined && counts.size >= maxExtensions) return;
  const n_databases = (known?.n_databases ?? 0) + 1;
  counts.set(key, { extname, version, n_databases, owned_by_superuser: own });
}
