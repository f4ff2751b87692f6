import { linked, never } from '../core/abort.ts';
import { alarm, raceAbort, sleep, tookTooLong } from '../core/clock.ts';
import { Queue } from '../core/queue.ts';

export interface SessionLimits {
  /** Sessions at a time. */
  readonly all: number;
  /** Of those, in one database: a lock in it must not keep the others waiting. */
  readonly each: number;
  /** Milliseconds that each may wait. */
  readonly waitMs: number;
}

/** Milliseconds after which the server has noticed that the client of a running statement is gone:
 *  twice `client_connection_check_interval`. */
const lingerMs = 1000;

/** Lets a few requests at a time have a session on Postgres, so that they do not take all its connections. */
export class SessionLimit {
  readonly #limits: SessionLimits;
  readonly #all: Queue;
  readonly #each = new Map<string, Queue>();

  constructor(limits: SessionLimits) {
    this.#limits = limits;
    this.#all = new Queue(limits.all);
  }

  /** Runs `work` when its turn comes, in the order of arrival.
   *  @throws ComputeError `deadline` after `waitMs`; what `work` throws; the reason of `signal` */
  async run<T>(database: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const { each, waitMs } = this.#limits;
    const turn = linked(signal);
    const cancel = alarm(waitMs, () => turn.abort(tookTooLong('the wait for a session on Postgres', waitMs)));
    const own = this.#each.get(database) ?? new Queue(each);
    this.#each.set(database, own);
    const job = async (): Promise<T> => {
      cancel();
      try {
        return await work();
      } finally {
        if (signal.aborted) await sleep(lingerMs, never);
      }
    };
    const done = own
      .add(() => this.#all.add(job, turn.signal), turn.signal)
      .finally(() => {
        cancel();
        turn.release();
        if (own.size === 0 && this.#each.get(database) === own) this.#each.delete(database);
      });
    return raceAbort(done, signal);
  }
}
