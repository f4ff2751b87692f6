/** What one reading of the server says about commits that wait for synchronous replication. */
export interface CommitsRow {
  /** The commits that wait, one text for each, at most twenty, the oldest first. */
  readonly waiting_commits: readonly string[] | null;
  /** Synchronous standbys that are connected and stream; null where none is required. */
  readonly synchronous: number | null;
}

/** Why commits do not return. `not_connected`: no synchronous standby is; `no_answer`: one is, but does not acknowledge them. */
export type StuckReason = 'not_connected' | 'no_answer';

export interface Stuck {
  /** Since when: milliseconds since 1970. */
  readonly sinceWallMs: number;
  readonly reason: StuckReason;
  /** Commits that wait now, our own included; twenty stand for more. */
  readonly waiting: number;
}

/** For a commit that waits, and for a standby that is away, in milliseconds: from then on a commit of our own finds out. */
const suspectMs = 1000;
/** A commit that has waited this long does not return, in milliseconds. */
const stuckMs = 5000;

/** Decides from each reading, and from a commit of our own, whether commits return. They do not when one and the same commit
 *  has waited for five seconds, and they do again when none has, and our own has returned: an application that gives up does
 *  not make them return. */
export class CommitWatch {
  /** When each commit that waits was first seen. */
  #seenMs = new Map<string, number>();
  #awaySinceMs: number | null = null;
  #ownSinceMs: number | null = null;
  #stuck: Stuck | null = null;

  /** @param nowMs of a clock that never goes back   @param wallMs milliseconds since 1970 */
  take({ waiting_commits, synchronous }: CommitsRow, nowMs: number, wallMs: number): void {
    const waiting = waiting_commits ?? [];
    this.#seenMs = new Map(waiting.map((commit) => [commit, this.#seenMs.get(commit) ?? nowMs]));
    this.#awaySinceMs = synchronous === 0 ? (this.#awaySinceMs ?? nowMs) : null;
    const oldestMs = Math.min(...this.#seenMs.values(), this.#ownSinceMs ?? Infinity);
    const is = nowMs - oldestMs >= stuckMs || (this.#stuck !== null && this.#ownSinceMs !== null);
    if (!is) return void (this.#stuck = null);
    this.#stuck = {
      sinceWallMs: this.#stuck?.sinceWallMs ?? wallMs - (nowMs - oldestMs),
      reason: synchronous === 0 ? 'not_connected' : 'no_answer',
      waiting: waiting.length,
    };
  }

  /** The server does not answer: nothing is known. */
  lost(): void {
    this.#seenMs.clear();
    [this.#awaySinceMs, this.#stuck] = [null, null];
  }

  /** Null while commits return, as far as is known. */
  get stuck(): Stuck | null {
    return this.#stuck;
  }

  /** Whether a commit of our own should find out. */
  suspects(nowMs: number): boolean {
    const sinceMs = Math.min(...this.#seenMs.values(), this.#awaySinceMs ?? Infinity);
    return nowMs - sinceMs >= suspectMs;
  }

  /** A commit of our own begins. */
  ownBegan(nowMs: number): void {
    this.#ownSinceMs = nowMs;
  }

  /** It has returned, or nobody knows what became of it. */
  ownEnded(): void {
    this.#ownSinceMs = null;
  }
}
