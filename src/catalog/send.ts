import type { EventEmitter } from 'node:events';
import { raceAbort } from '../core/clock.ts';
import { forgetQuotes } from '../core/server-words.ts';
import type { Sql } from '../core/sql.ts';
import { type PgClient, destroyPg, sqlState } from '../pg/client.ts';

/** A statement of a message failed. */
export class SendFailure extends Error {
  /** The statement's index in the list that was sent; the list's length when the commit failed. */
  readonly at: number;
  /** The transaction was rolled back, and the connection can be used again. Otherwise it is closed. */
  readonly usable: boolean;

  constructor(at: number, cause: unknown, usable: boolean) {
    super('a statement failed', { cause });
    this.at = at;
    this.usable = usable;
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
  // BEGIN is the first statement of the message.
  await despiteDeadlocks(() => message(client, text, signal, statements, 1));
  if (secret) await message(client, loud, signal);
}

/** Sends a statement that cannot be part of a transaction.
 *  @throws SendFailure */
export const sendAlone = (client: PgClient, statement: Sql, signal: AbortSignal): Promise<void> =>
  despiteDeadlocks(() => message(client, statement.reveal(), signal, [statement]));

const deadlock = '40P01';
const deadlockTries = 5;

/** The server ends one of the transactions that wait for each other, whoever it is: a worker of a subscription that begins takes
 *  its locks in another order than we do. Nothing of ours has taken effect then. */
async function despiteDeadlocks(send: () => Promise<void>): Promise<void> {
  for (let tries = 1; ; tries++) {
    try {
      return await send();
    } catch (error) {
      const again = error instanceof SendFailure && error.usable && sqlState(error) === deadlock;
      if (!again || tries === deadlockTries) throw error;
    }
  }
}

/** After an error of the server, which has ended the statement. After a time limit of ours it may still run. */
async function rolledBack(client: PgClient, error: unknown, signal: AbortSignal): Promise<boolean> {
  if (sqlState(error) === null) return false;
  return raceAbort(client.query('rollback'), signal).then(
    () => true,
    () => false,
  );
}

/** @param statements those of the message whose failure is reported, `before` the number of others in front of them */
async function message(
  client: PgClient,
  text: string,
  signal: AbortSignal,
  statements: readonly Sql[] = [],
  before = 0,
): Promise<void> {
  let completed = 0;
  const { connection } = client as unknown as { connection: EventEmitter };
  const onComplete = (): void => void completed++;
  connection.on('commandComplete', onComplete);
  try {
    await raceAbort(client.query(text), signal);
  } catch (error) {
    // Before the rollback, which completes, too.
    const at = Math.min(Math.max(completed - before, 0), statements.length);
    const usable = !signal.aborted && (await rolledBack(client, error, signal));
    if (!usable) destroyPg(client);
    signal.throwIfAborted();
    // A commit runs what was deferred by any of them.
    if (statements[at]?.secret ?? statements.some(({ secret }) => secret)) forgetQuotes(error);
    throw new SendFailure(at, error, usable);
  } finally {
    connection.off('commandComplete', onComplete);
  }
}
