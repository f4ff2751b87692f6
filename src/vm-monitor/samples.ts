import { mib } from './decisions.ts';

const windowSize = 5;

/** The last few samples of the memory use, in bytes. */
export class Samples {
  readonly #window: number[] = [];

  add(bytes: number): void {
    this.#window.push(bytes);
    if (this.#window.length > windowSize) this.#window.shift();
  }

  get count(): number {
    return this.#window.length;
  }

  /** Whole bytes, rounded down; 0 without samples. */
  get averageBytes(): number {
    const sum = this.#window.reduce((total, bytes) => total + bytes, 0);
    return this.count === 0 ? 0 : (sum - (sum % this.count)) / this.count;
  }
}

/** Limits log lines about the use: one when it has changed much since the last line, or after a while. */
export class UseLog {
  #samples = 0;
  #lastBytes: number | null = null;
  #lastMs = 0;

  /** True when a line is due at this sample. @param nowMs milliseconds of a monotonic clock */
  due(bytes: number, nowMs: number): boolean {
    this.#samples++;
    if (this.#samples % 20 !== 0) return false;
    const last = this.#lastBytes;
    if (last !== null && similar(last, bytes) && nowMs - this.#lastMs < 15_000) return false;
    this.#lastBytes = bytes;
    this.#lastMs = nowMs;
    return true;
  }
}

/** The difference is less than an eighth of the smaller one, and less than 128 MiB. */
export function similar(a: number, b: number): boolean {
  const apart = Math.abs(a - b);
  return apart < Math.min(a, b) / 8 && apart < 128 * mib;
}
