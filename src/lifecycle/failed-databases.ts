import type { Remainder } from '../catalog/remainder.ts';
import { Crashes } from '../catalog/crash.ts';
import type { CatalogFailure, DatabaseFault } from '../catalog/result.ts';

/** A database that is not as the spec asks, although the compute runs. */
export interface FailedDatabase {
  readonly name: string;
  /** Where, what and why, on one line, with the server's words. */
  readonly error: string;
  readonly sqlstate: string | null;
  /** What to do about it. */
  readonly hint: string | null;
  /** When it first failed: RFC 3339, UTC, ends in `Z`. */
  readonly since: string;
  /** How often it has failed since then, 1 or more. */
  readonly failures: number;
  /** RFC 3339, UTC, ends in `Z`; null while a try is running, and when none will come before the next
   *  configuration, or the next start. */
  readonly next_try: string | null;
}

type Failed = Omit<FailedDatabase, 'next_try'> & Pick<DatabaseFault, 'final'>;

/** The databases in which the latest catalog pass failed, for `/status`, the metric and the retry. */
export class FailedDatabases {
  readonly crashes = new Crashes();
  #failed: ReadonlyMap<string, Failed> = new Map();
  #nextTry: string | null = null;
  #remainder: Remainder | null = null;

  get size(): number {
    return this.#failed.size;
  }

  /** What the latest pass that came to its end has left to be done; null: nothing. */
  get remainder(): Remainder | null {
    return this.#remainder;
  }

  /** In the order of their names. */
  list(): FailedDatabase[] {
    return [...this.#failed.values()]
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
      .map(({ final, ...one }) => ({ ...one, next_try: final ? null : this.#nextTry }));
  }

  /** Whether a retry may help any of them. */
  get retryable(): boolean {
    return [...this.#failed.values()].some(({ final }) => !final);
  }

  /** Takes the result of a pass. @param failure null after a success */
  passed(failure: CatalogFailure | null): void {
    this.#nextTry = null;
    const before = this.#failed;
    // A pass that ended early says nothing about the databases that it did not come to.
    const ended = failure !== null && !failure.onlyDatabases;
    const after = new Map(ended ? before : []);
    const now = new Date().toISOString();
    for (const [name, { reason, sqlState, hint, final }] of failure?.databases ?? []) {
      const { since = now, failures = 0 } = before.get(name) ?? {};
      after.set(name, {
        name,
        error: reason,
        sqlstate: sqlState,
        hint,
        final,
        since,
        failures: failures + 1,
      });
    }
    this.#failed = after;
    if (!ended) this.#remainder = failure?.remainder ?? null;
  }

  /** @param at null while a try is running, or when none will come */
  scheduled(at: Date | null): void {
    this.#nextTry = at?.toISOString() ?? null;
  }
}
