import { abortedBy, linked } from './abort.ts';

/** Runs jobs in the order of their arrival, at most `concurrency` at a time. */
export class Queue {
  readonly #concurrency: number;
  readonly #waiting = new Set<() => void>();
  #busy = 0;
  #idle: (() => void)[] = [];

  /** @param concurrency 1 or more */
  constructor(concurrency: number) {
    this.#concurrency = concurrency;
  }

  /** Jobs running and waiting. */
  get size(): number {
    return this.#busy + this.#waiting.size;
  }

  /** Runs `work` when its turn comes, also when earlier jobs failed. Settles when and as `work` does.
   *  @param signal when it aborts before the turn, the job is dropped and this rejects with its reason at once */
  async add<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    signal.throwIfAborted();
    if (this.#busy < this.#concurrency) this.#busy++;
    else await this.#turn(signal);
    try {
      signal.throwIfAborted();
      return await work();
    } finally {
      this.#next();
    }
  }

  /** Resolves when no job is running or waiting. */
  async idle(): Promise<void> {
    if (this.size > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #turn(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const drop = (): void => {
        this.#waiting.delete(begin);
        reject(signal.reason as Error);
      };
      const begin = (): void => {
        signal.removeEventListener('abort', drop);
        resolve();
      };
      this.#waiting.add(begin);
      signal.addEventListener('abort', drop, { once: true });
    });
  }

  /** When a job has ended, the first waiting job starts. */
  #next(): void {
    const [begin] = this.#waiting;
    if (begin !== undefined) {
      this.#waiting.delete(begin);
      return begin();
    }
    this.#busy--;
    if (this.#busy === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }
}

/** Works through a list in order, up to `concurrency` jobs at a time. The first failure cancels the running jobs.
 *  All of them are awaited, and every failure that is not such a cancellation is reported.
 *  @param work `worker`: which of the `concurrency` workers has the job, from 0; each has one job at a time
 *  @throws AggregateError with the failures; the reason of `signal` when that was what ended it */
export async function workThrough<T>(
  jobs: readonly T[],
  concurrency: number,
  signal: AbortSignal,
  work: (job: T, worker: number, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const together = linked(signal);
  const failures: unknown[] = [];
  const left = jobs.values();
  const worker = async (number: number): Promise<void> => {
    for (const job of left) {
      if (together.signal.aborted) return;
      try {
        await work(job, number, together.signal);
      } catch (error) {
        if (!abortedBy(error, together.signal)) failures.push(error);
        together.abort();
      }
    }
  };
  try {
    const workers = Math.min(Math.max(1, concurrency), jobs.length);
    await Promise.all(Array.from({ length: workers }, (_, number) => worker(number)));
  } finally {
    together.release();
  }
  signal.throwIfAborted();
  if (failures.length > 0) throw new AggregateError(failures, '');
}
