/** Pauses between failing attempts: twice as long each time up to a limit, and each of random length between half of it
 *  and all of it, so that many computes do not knock at the same moment. */
export class Backoff {
  readonly #firstMs: number;
  readonly #maxMs: number;
  readonly #random: () => number;
  #nextMs: number;

  /** @param random from 0 to 1, as Math.random */
  constructor(firstMs: number, maxMs: number, random: () => number = Math.random) {
    [this.#firstMs, this.#maxMs, this.#random] = [firstMs, maxMs, random];
    this.#nextMs = firstMs;
  }

  /** Milliseconds to wait before the next attempt. */
  next(): number {
    const ms = this.#nextMs;
    this.#nextMs = Math.min(ms * 2, this.#maxMs);
    return ms * (0.5 + this.#random() / 2);
  }

  reset(): void {
    this.#nextMs = this.#firstMs;
  }
}
