import { raceAbort, withDeadline } from '../core/clock.ts';
import { ComputeError, explained } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { Queue } from '../core/queue.ts';
import { retry } from '../core/retry.ts';
import { type PgClient, sqlState, withPg } from '../pg/client.ts';
import { ownSession } from '../pg/session-settings.ts';
import type { PgTarget } from '../pg/target.ts';
import { keepEventTriggersOut } from './event-triggers.ts';
import { closeToOthers, holdTable, mustBeHarmless, writeRow } from './health-check-table.ts';
import { inTransaction } from './lock-holders.ts';

export interface WritabilityOptions {
  readonly target: PgTarget;
  readonly log: Log;
  /** For one whole call, including the wait for earlier calls. Milliseconds, default 10 000. */
  readonly limitMs?: number;
}

/** Milliseconds to wait for a lock that a user holds. */
const maxLockMs = 2000;
const diskFull = '53100';
/** The errors of CREATE TABLE IF NOT EXISTS when another session creates the table at the same moment. */
const raced: readonly (string | null)[] = ['23505', '42P07', '42710'];
const attempts = 5;

/** Checks whether Postgres accepts writes, by writing. The first call creates the table for it. */
export class Writability {
  readonly #options: WritabilityOptions;
  readonly #queue = new Queue(1);

  constructor(options: WritabilityOptions) {
    this.#options = options;
  }

  /** One call after the other.
   *  @throws ComputeError `sql` with the server's words, also when the limit is over: a write may hang instead of failing */
  async check(signal: AbortSignal): Promise<true> {
    const { limitMs = 10_000 } = this.#options;
    try {
      return await withDeadline('the write', limitMs, signal, (limited) =>
        this.#queue.add(() => raceAbort(this.#write(limitMs, limited), limited), limited),
      );
    } catch (error) {
      if (signal.aborted) throw error;
      throw new ComputeError('sql', `could not check writability: ${explained(error)}`, { cause: error });
    }
  }

  async #write(limitMs: number, signal: AbortSignal): Promise<true> {
    const { target, log } = this.#options;
    // The server's timeout is a little longer than ours, so that no session waits for ever. If it were shorter, a commit
    // that was canceled while it waited for its replicas would look like a success.
    const login = ownSession(target, {
      statement_timeout: limitMs + 1000,
      lock_timeout: Math.min(maxLockMs, Math.ceil(limitMs / 4)),
    });
    const options = {
      applicationName: 'compute_ctl:availability_checker',
      connectMs: limitMs,
      queryMs: limitMs,
      signal,
    };
    const retryable = (error: unknown): boolean => raced.includes(sqlState(error));
    try {
      await retry(
        () => withPg(login, options, upsert),
        { what: 'the write', attempts, pauseMs: () => 0, retryable },
        signal,
      );
    } catch (error) {
      if (sqlState(error) !== diskFull) throw error;
      log.warn(`the disk is full, which is not a fault of Postgres: ${explained(error)}`);
    }
    return true;
  }
}

/** One transaction: after a failure no new table remains, and nobody can change the table between the check and the write. */
async function upsert(pg: PgClient): Promise<void> {
  await inTransaction(pg, async () => {
    await keepEventTriggersOut(pg);
    await holdTable(pg);
    await mustBeHarmless(pg);
    await closeToOthers(pg);
    await writeRow(pg);
  });
}
