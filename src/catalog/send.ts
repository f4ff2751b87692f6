import type { EventEmitter } from 'node:events';
import { raceAbort } from '../core/clock.ts';
import type { Sql } from '../core/sql.ts';
import { type PgClient, destroyPg } from '../pg/client.ts';

/** A statement of a message failed. The connection must not be used again. */
export class SendFailure extends Error {
  /** The statement's index in the list that was sent; the list's length when the commit failed. */
  readonly at: number;

  constructor(at: number, cause: unknown) {
    super('a statement failed', { cause });
    this.at = at;
  }
}

/** By default the server's log and statistics may record statements unchanged, passwords included, and members of
 *  pg_monitor, who cannot read them otherwise, see a statement while it runs. */
const quiet = `set track_activities = off; set log_statement = none; set log_min_duration_statement = -1; set log_min_duration_sample = -1;
  set log_transaction_sample_rate = 0; set log_min_error_statement = panic; set pg_stat_statements.track_utility = off; set auto_explain.log_min_duration = -1`;
const loud = `reset log_statement; reset log_min_duration_statement; reset log_min_duration_sample;
  reset log_transaction_sample_rate; reset log_min_error_statement; reset pg_stat_statements.track_utility; reset auto_explain.log_min_duration; reset track_activities`;

/** Sends the statements in one message: all of them take effect, or none. The server stops at the first failure.
 *  @throws SendFailure */
export async function sendTransaction(
  client: PgClient,
  statements: readonly Sql[],
  signal: AbortSignal,
): Promise<void> {
  const secret = statements.some((statement) => statement.secret);
  if (secret) await message(client, quiet, signal);
  const text = ['begin', ...statements.map((statement) => statement.reveal()), 'commit'].join(';\n');
  await message(client, text, signal, 1, statements.length);
  if (secret) await message(client, loud, signal);
}

/** Sends a statement that cannot be part of a transaction.
 *  @throws SendFailure */
export const sendAlone = (client: PgClient, statement: Sql, signal: AbortSignal): Promise<void> =>
  message(client, statement.reveal(), signal);

async function message(
  client: PgClient,
  text: string,
  signal: AbortSignal,
  before = 0,
  count = Number.MAX_SAFE_INTEGER,
): Promise<void> {
  let completed = 0;
  const { connection } = client as unknown as { connection: EventEmitter };
  const onComplete = (): void => void completed++;
  connection.on('commandComplete', onComplete);
  try {
    await raceAbort(client.query(text), signal);
  } catch (error) {
    destroyPg(client);
    signal.throwIfAborted();
    throw new SendFailure(Math.min(Math.max(completed - before, 0), count), error);
  } finally {
    connection.off('commandComplete', onComplete);
  }
}
