import { type PgClient, connectPg, destroyPg } from '../pg/client.ts';
import type { PgTarget } from '../pg/target.ts';

/** Limits in milliseconds. */
export interface CatalogLimits {
  readonly connectMs: number;
  /** For one statement. Commits may wait until the storage is attached. */
  readonly statementMs: number;
  /** For a lock that another session holds. */
  readonly lockMs: number;
  /** For the whole pass. */
  readonly overallMs: number;
}

export const defaultLimits: CatalogLimits = {
  connectMs: 10_000,
  statementMs: 120_000,
  lockMs: 30_000,
  overallMs: 600_000,
};

/** The server's timeout comes first and gives a reason; the driver's is for a server that does not answer at all. */
const patienceMs = 5000;

/** Schemas for names without a schema. `pg_temp` is last: if it is not listed, a temporary table comes before a catalog of
 *  the same name. */
export const searchPath = 'pg_catalog,pg_temp';

/** Settings that the start-up parameter `options` sets on every maintenance connection. Users may attach settings to
 *  databases and roles; only `options` overrides them. The operator's own options follow and may change these, except
 *  the last ones: with another `search_path`, names and operators could mean a user's objects, and a user's trigger
 *  would run as superuser.
 *  @param serverMajor the server's major version; settings that not every version has are set only if it is known */
export function sessionOptions({ target, limits, readOnly = false, serverMajor = 0 }: PinnedBy): string {
  const escaped = target.user.replaceAll(/[\\\s]/g, (char) => `\\${char}`);
  return [
    `-c role=${escaped}`,
    `-c default_transaction_read_only=${readOnly ? 'on' : 'off'}`,
    `-c statement_timeout=${limits.statementMs}`,
    `-c lock_timeout=${limits.lockMs}`,
    '-c idle_in_transaction_session_timeout=0',
    '-c idle_session_timeout=0',
    '-c default_transaction_isolation=read\\ committed',
    '-c default_transaction_deferrable=off',
    // The owner of a database may name a library here that does not exist, and nobody could connect.
    '-c local_preload_libraries=',
    '-c TimeZone=UTC',
    '-c DateStyle=ISO',
    // A new cluster has no statistics of its catalogs, and would read pg_shdepend once for each database.
    '-c enable_seqscan=off',
    '-c jit=off',
    '-c pgaudit.log=none',
    // A statement's parse tree contains its passwords.
    '-c debug_print_parse=off -c debug_print_rewritten=off -c debug_print_plan=off',
    // Stops the neon extension from reporting our own changes to the control plane; has no effect without it.
    '-c neon.forward_ddl=false',
    // A canceled pass must not continue in the server while the next one runs.
    '-c client_connection_check_interval=500',
    target.options,
    `-c search_path=${searchPath}`,
    // Switches off triggers, rules and event triggers, unless a superuser said ENABLE ALWAYS.
    '-c session_replication_role=replica',
    ...(serverMajor >= 17 ? ['-c event_triggers=off', '-c transaction_timeout=0'] : []),
  ]
    .filter((option) => option !== '')
    .join(' ');
}

interface PinnedBy {
  readonly target: PgTarget;
  readonly limits: CatalogLimits;
  readonly readOnly?: boolean;
  readonly serverMajor?: number;
}

export interface SessionOptions extends PinnedBy {
  readonly signal: AbortSignal;
  readonly database?: string | null;
}

/** Opens a maintenance connection to `database`, or to the system database. */
export const openSession = (options: SessionOptions): Promise<PgClient> =>
  connectPg(
    { ...options.target, options: sessionOptions(options) },
    {
      applicationName: 'compute_ctl:apply_config',
      connectMs: options.limits.connectMs,
      queryMs: options.limits.statementMs + patienceMs,
      ...(options.database === null || options.database === undefined ? {} : { database: options.database }),
      signal: options.signal,
    },
  );

/** Allows one pass at a time, after the earlier pass's helper connections have ended: a server notices a disconnected
 *  client only after a while, and a statement that still runs would conflict with the same one of the next pass. These
 *  are session locks in the system database, released at the session's end; `lock_timeout` limits the wait. */
export const passLock =
  'select pg_catalog.pg_advisory_lock(1668246631, 1); ' +
  'select pg_catalog.pg_advisory_lock(1668246631, 3); select pg_catalog.pg_advisory_unlock(1668246631, 3)';

const helperLock = 'select pg_catalog.pg_advisory_lock_shared(1668246631, 3)';

/** Opens a further connection to the system database for the pass that holds the lock. */
export async function openHelper(options: SessionOptions): Promise<PgClient> {
  const client = await openSession(options);
  try {
    await client.query(helperLock);
    return client;
  } catch (error) {
    destroyPg(client);
    throw error;
  }
}

/** Closes a connection whose work is done, without waiting for the server's session to end. */
export function closeSession(client: PgClient): void {
  void client.end().catch(() => {});
}
