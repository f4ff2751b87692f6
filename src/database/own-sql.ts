import { type PgClient, sqlState, withPg } from '../pg/client.ts';
import { ownSession } from '../pg/session-settings.ts';
import type { PgTarget } from '../pg/target.ts';
import { traced } from '../telemetry/trace.ts';
import { ComputeError, messageOf } from '../core/errors.ts';

const connectMs = 10_000;
/** The server's timeout comes first and gives a reason; the driver's is for a server that does not answer at all. */
const patienceMs = 2000;

export interface OwnSession {
  readonly target: PgTarget;
  /** The application name in `pg_stat_activity`, after `compute_ctl:`. */
  readonly name: string;
  readonly database?: string;
  /** Milliseconds for one statement. */
  readonly statementMs: number;
  /** Milliseconds for each wait for a lock; `statementMs` when left out. */
  readonly lockMs?: number;
  readonly readOnly?: boolean;
}

/** Runs SQL for a request on its own connection, which is closed when this settles.
 *  @throws what `work` threw; ComputeError `sql` when the server cannot be reached; AbortError */
export function withOwnPg<T>(
  { target, name, database, statementMs, lockMs = statementMs, readOnly = false }: OwnSession,
  signal: AbortSignal,
  work: (pg: PgClient) => Promise<T>,
): Promise<T> {
  const login = ownSession(target, {
    statement_timeout: statementMs,
    lock_timeout: lockMs,
    ...(readOnly ? { default_transaction_read_only: 'on' } : {}),
    // A statement must end when its client has disconnected.
    client_connection_check_interval: 500,
  });
  const connection = {
    applicationName: `compute_ctl:${name}`,
    connectMs,
    queryMs: statementMs + patienceMs,
    signal,
    ...(database === undefined ? {} : { database }),
  };
  return traced(`sql ${name}`, {}, () => withPg(login, connection, work));
}

/** An error with the server's message after a prefix that clients know; the statement goes only to the log.
 *  @param what e.g. `failed to install extension` */
export function inWordsOfServer(what: string, error: unknown): ComputeError {
  if (error instanceof ComputeError && error.code !== 'sql') return error;
  let innermost = error;
  while (innermost instanceof Error && innermost.cause !== undefined) innermost = innermost.cause;
  const reason = sqlState(error) === null ? messageOf(error) : messageOf(innermost);
  const hint = error instanceof ComputeError ? error.hint : undefined;
  return new ComputeError('sql', `${what}: ${reason}`, { cause: error, ...(hint !== undefined && { hint }) });
}
