import { withDeadline } from '../core/clock.ts';
import { inline } from '../core/errors.ts';
import type { Log } from '../core/log.ts';

/** Owns the work that nobody waits for: its failure is logged, and the end of the process waits for it, within a limit. */
export class Background {
  readonly #tasks = new Set<Promise<void>>();
  readonly #stop = new AbortController();
  readonly #log: Log;

  constructor(log: Log) {
    this.#log = log;
  }

  run(name: string, work: (signal: AbortSignal) => Promise<void>): void {
    const { signal } = this.#stop;
    const task = work(signal)
      .catch((error: unknown) => {
        if (!signal.aborted) this.#log.warn(`${name}: ${inline(error)}`);
      })
      .finally(() => this.#tasks.delete(task));
    this.#tasks.add(task);
  }

  /** Aborts what runs and waits for it, `limitMs` milliseconds at most. */
  async end(limitMs: number): Promise<void> {
    this.#stop.abort();
    const all = Promise.allSettled(this.#tasks);
    try {
      await withDeadline('the end of background work', limitMs, new AbortController().signal, () => all);
    } catch (error) {
      this.#log.warn(inline(error));
    }
  }
}
