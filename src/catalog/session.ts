import { type PgClient, connectPg, destroyPg } from '../pg/client.ts';
import type { PgTarget } from '../pg/target.ts';

/** Limits in milliseconds. */
export interface CatalogLimits {
  readonly connectMs: number;
  /** One statement. Commits may wait until the storage is attached. */
  readonly statementMs: number;
  /** Waiting for a lock that somebody else holds. */
  readonly lockMs: number;
  /** The whole pass. */
  readonly overallMs: number;
}

export const defaultLimits: CatalogLimits = {
  connectMs: 10_000,
  statementMs: 120_000,
  lockMs: 30_000,
  overallMs: 600_000,
};

/** The server gives up first and says why; the driver only when the server does not answer at all. */
const patienceMs = 5000;

/** The only schemas in which a session looks for a name without one. `pg_temp` is last: where it is not listed, a
 *  temporary table would come before a catalog of the same name. */
export const searchPath = 'pg_catalog,pg_temp';

/** What the start-up parameter `options` of every maintenance connection pins, because users may attach settings to
 *  databases and roles and only this outranks them. The operator's own options follow and may change them, except
 *  the last ones: with more in `search_path`, names and operators could mean objects of a user, and a trigger of a user
 *  would run as superuser.
 *  @param serverMajor major version of the server; settings that came with it are pinned only when it is known */
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
    // A fresh cluster has no statistics of its catalogs, and would read pg_shdepend once for each database.
    '-c enable_seqscan=off',
    '-c jit=off',
    '-c pgaudit.log=none',
    // The parse tree of a statement holds its passwords.
    '-c debug_print_parse=off -c debug_print_rewritten=off -c debug_print_plan=off',
    // Keeps the neon extension from reporting our own changes to the control plane; a placeholder elsewhere.
    '-c neon.forward_ddl=false',
    // A pass that was cancelled must not go on in the server and meet its successor.
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

/** Only one pass at a time, and not before the helpers of an earlier one are gone: a server notices only after a while
 *  that a client is, and a statement that is still under way would collide with the same one of the next pass. Session
 *  locks of the system database, given back by the end of the session; waiting for them is limited by `lock_timeout`. */
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

/** Ends a connection that has done its work, without waiting for the server to wind it up. */
export function closeSession(client: PgClient): void {
  void client.end().catch(() => {});
}
