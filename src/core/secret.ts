import { createHash, timingSafeEqual } from 'node:crypto';
import { inspect } from 'node:util';

const mask = '***';

const digest = (text: string): Buffer => createHash('sha256').update(text).digest();

/** A value that must not be shown. Logs, errors, JSON and inspection see `***`; only `reveal()` returns it. */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  reveal(): string {
    return this.#value;
  }

  equals(other: Secret): boolean {
    return this.#value === other.#value;
  }

  /** Compares in constant time: the duration does not show how much of `given` is right. */
  matches(given: string): boolean {
    return timingSafeEqual(digest(given), digest(this.#value));
  }

  toString(): string {
    return mask;
  }

  toJSON(): string {
    return mask;
  }

  [inspect.custom](): string {
    return mask;
  }
}
