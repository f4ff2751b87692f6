import { type PgClient, connectPg } from '../pg/client.ts';
import { whenFree } from '../pg/full.ts';
import { ownSession } from '../pg/session-settings.ts';
import type { PgTarget } from '../pg/target.ts';

/** Limits in milliseconds. */
export interface CatalogLimits {
  readonly connectMs: number;
  /** For one statement. Commits may wait until the storage is attached. */
  readonly statementMs: number;
  /** For a lock that another session holds, and for a free connection. */
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

/** The start-up parameter `options` of every maintenance connection: the settings of all our sessions, and more of them. */
export const sessionOptions = ({ target, limits, readOnly = false }: PinnedBy): string =>
  ownSession(target, {
    role: target.user,
    default_transaction_read_only: readOnly ? 'on' : 'off',
    statement_timeout: limits.statementMs,
    lock_timeout: limits.lockMs,
    // A new cluster has no statistics of its catalogs, and would read pg_shdepend once for each database.
    enable_seqscan: 'off',
    'pgaudit.log': 'none',
    // plpgsql is there. The sessions that install extensions need the operator's path.
    dynamic_library_path: '$libdir',
    // Stops the neon extension from reporting our own changes to the control plane; has no effect without it.
    'neon.forward_ddl': 'false',
    // The server must stop a pass that was cancelled: otherwise it conflicts with the next one.
    client_connection_check_interval: 500,
    // On every version, because we write to tables of the bookkeeping. Switches off triggers and rules, too.
    session_replication_role: 'replica',
  }).options;

interface PinnedBy {
  readonly target: PgTarget;
  readonly limits: CatalogLimits;
  readonly readOnly?: boolean;
}

export interface SessionOptions extends PinnedBy {
  readonly signal: AbortSignal;
  readonly database?: string | null;
  /** Names the work; sessions of an earlier one are found by it. Default: `passName`. */
  readonly applicationName?: string;
  /** When the server has no free connection: `wait` for one within the limit for a lock (the default), or `fail`. */
  readonly whenFull?: 'wait' | 'fail';
}

/** The application name of a catalog pass. */
export const passName = 'compute_ctl:apply_config';

/** Opens a maintenance connection to `database`, or to the system database. */
export function openSession(options: SessionOptions): Promise<PgClient> {
  const { limits, database, signal } = options;
  const connect = (): Promise<PgClient> =>
    connectPg(
      { ...options.target, options: sessionOptions(options) },
      {
        applicationName: options.applicationName ?? passName,
        connectMs: limits.connectMs,
        queryMs: limits.statementMs + patienceMs,
        ...(database === null || database === undefined ? {} : { database }),
        signal,
      },
    );
  return options.whenFull === 'fail' ? connect() : whenFree(connect, limits.lockMs, signal);
}

/** Closes a connection whose work is done, without waiting for the server's session to end. */
export function closeSession(client: PgClient): void {
  void client.end().catch(() => {});
}
