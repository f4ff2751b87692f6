import { abortedBy, linked } from './abort.ts';

/** Jobs as they come: at most `concurrency` of them are under way, the others wait in order. */
export class Queue {
  readonly #concurrency: number;
  readonly #waiting = new Set<() => void>();
  #busy = 0;
  #idle: (() => void)[] = [];

  /** @param concurrency 1 or more */
  constructor(concurrency: number) {
    this.#concurrency = concurrency;
  }

  /** Jobs under way and waiting. */
  get size(): number {
    return this.#busy + this.#waiting.size;
  }

  /** Does `work` when its turn comes, whatever became of those before. Settles as it does, and only when it does.
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

  /** Resolves when nothing is under way and nothing waits. */
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

  /** The place of a job that has ended goes to the first that waits. */
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

/** Works through a list in order, up to `concurrency` jobs at a time. The first failure cancels what is under way,
 *  everything is awaited, and every job that failed on its own account is reported.
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
