import { monotonicMs } from '../../core/clock.ts';

interface User {
  readonly who: string;
  /** Of `monotonicMs`, as all times here. */
  readonly usedMs: number;
}

/** Who used a compute by its front, and when. */
export class Usage {
  #usedMs = monotonicMs();
  #ignoredMs = 0;
  /** Not in words before somebody asks: this changes with each chunk that passes by. */
  #last: User | string = '';

  /** When a client was last served that counts. */
  get usedMs(): number {
    return this.#usedMs;
  }

  /** When one was served at all, or asked by us. */
  get seenMs(): number {
    return Math.max(this.#usedMs, this.#ignoredMs);
  }

  /** Who was last served. */
  get last(): string {
    return typeof this.#last === 'string' ? this.#last : this.#last.who;
  }

  by(user: User): void {
    this.#usedMs = user.usedMs;
    this.#last = user;
  }

  ignored(user: User): void {
    this.#ignoredMs = user.usedMs;
  }

  /** Somebody who is not a session. */
  byNamed(who: string): void {
    this.#usedMs = monotonicMs();
    this.#last = who;
  }

  /** Something of ours is about to show in the statistics of the server. */
  seen(): void {
    this.#ignoredMs = monotonicMs();
  }

  /** It is not there any more. */
  left(user: User): void {
    if (this.#last === user) this.#last = user.who;
  }
}
