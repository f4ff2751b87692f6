import { linked } from '../../core/abort.ts';
import { alarm } from '../../core/clock.ts';

/** Work that goes on while somebody watches, and a while longer. */
export class Watching {
  readonly #work: (signal: AbortSignal) => Promise<unknown>;
  readonly #lingerMs: number;
  readonly #closed: AbortSignal;
  #watchers = 0;
  #running: { readonly stop: () => void; readonly ended: Promise<unknown> } | null = null;
  #cancelStop = (): void => {};

  /** @param work ends when its signal aborts, after what it was doing
   *  @param closed nothing begins any more */
  constructor(work: (signal: AbortSignal) => Promise<unknown>, lingerMs: number, closed: AbortSignal) {
    this.#work = work;
    this.#lingerMs = lingerMs;
    this.#closed = closed;
  }

  watchedBy(watchers: number): void {
    this.#watchers = watchers;
    this.#cancelStop();
    this.#cancelStop = watchers > 0 ? () => {} : alarm(this.#lingerMs, () => this.#running?.stop());
    this.#begin();
  }

  /** Resolves when nothing is under way. */
  async ended(): Promise<void> {
    this.#cancelStop();
    this.#running?.stop();
    await this.#running?.ended;
  }

  #begin(): void {
    if (this.#watchers === 0 || this.#running !== null || this.#closed.aborted) return;
    const watching = linked(this.#closed);
    const ended = this.#work(watching.signal).finally(() => {
      watching.release();
      this.#running = null;
      // Somebody may have come while it was ending.
      this.#begin();
    });
    this.#running = { stop: () => watching.abort(), ended };
  }
}
