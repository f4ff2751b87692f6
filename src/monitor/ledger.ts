import type { DownReason, Failure } from './failure.ts';

/** The two checks of Postgres: on a kept connection, and on a new connection. */
export const checks = ['activity', 'connect'] as const;
export type Check = (typeof checks)[number];

export interface Clock {
  /** Milliseconds of a monotonic clock. */
  monotonicMs(): number;
  /** Milliseconds since 1970. It may be changed at any time, so it only dates the times that `monotonicMs` measured. */
  wallMs(): number;
}

/** One downtime. Its fields are those of `GET /downtime`. */
export interface Incident {
  /** RFC 3339, UTC: when Postgres was last seen up. */
  readonly started_at: string;
  /** Null during the downtime. */
  readonly ended_at: string | null;
  readonly duration_ms: number;
  /** Why the first check failed. */
  readonly reason: DownReason;
  readonly sqlstate: string | null;
  readonly message: string;
  /** Why the latest check failed, if the reason differs from the first. */
  readonly last_reason: DownReason;
  readonly failed_checks: number;
}

export const keptIncidents = 100;

interface Downtime {
  sinceMs: number;
  startedWallMs: number;
  endedMs: number | null;
  readonly first: Failure;
  last: Failure;
  failedChecks: number;
}

/** Records downtimes. Up means that both checks succeeded the last time. A downtime begins at the last success of the
 *  failed check, and ends when both checks succeed again. Nothing counts before `begin`. */
export class DowntimeLedger {
  readonly #clock: Clock;
  readonly #downtimes: Downtime[] = [];
  readonly #failing = new Set<Check>();
  /** The checks whose latest answer was that no connection is free. */
  readonly #full = new Set<Check>();
  readonly #lastSuccessMs: Record<Check, number> = { activity: 0, connect: 0 };
  #upSinceMs = 0;
  #upSinceWallMs = 0;
  #closedMs = 0;
  #open: Downtime | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The compute runs: from now on it counts as up until a check fails. */
  begin(): void {
    const now = this.#clock.monotonicMs();
    [this.#upSinceMs, this.#upSinceWallMs] = [now, this.#clock.wallMs()];
    this.#lastSuccessMs.activity = now;
    this.#lastSuccessMs.connect = now;
  }

  /** @returns the length of the downtime that ends with this success, in milliseconds; null when none ends */
  succeeded(check: Check): number | null {
    this.#lastSuccessMs[check] = this.#clock.monotonicMs();
    this.#failing.delete(check);
    return this.#failing.size === 0 ? this.close() : null;
  }

  /** @returns `opened` when a downtime begins, `changed` when the reason has changed, else `same` */
  failed(check: Check, failure: Failure): 'opened' | 'changed' | 'same' {
    const now = this.#clock.monotonicMs();
    this.#failing.add(check);
    const sinceMs = Math.max(this.#lastSuccessMs[check], this.#upSinceMs);
    const startedWallMs = this.#clock.wallMs() - (now - sinceMs);
    if (this.#open === null) {
      this.#open = {
        sinceMs,
        startedWallMs,
        endedMs: null,
        first: failure,
        last: failure,
        failedChecks: 1,
      };
      this.#downtimes.push(this.#open);
      if (this.#downtimes.length > keptIncidents) this.#downtimes.shift();
      return 'opened';
    }
    const open = this.#open;
    // The other check may have hung longer before it failed. The begin only moves back, so the sum only grows.
    if (sinceMs < open.sinceMs) {
      open.startedWallMs -= open.sinceMs - sinceMs;
      open.sinceMs = sinceMs;
    }
    const same = open.last.reason === failure.reason && open.last.sqlstate === failure.sqlstate;
    open.last = failure;
    open.failedChecks++;
    return same ? 'same' : 'changed';
  }

  /** Whether the latest answer to a check was that no connection is free. Such an answer counts as one. */
  get full(): boolean {
    return this.#full.size > 0;
  }

  /** @returns true when this is news */
  setFull(check: Check, full: boolean): boolean {
    const before = this.full;
    if (full) this.#full.add(check);
    else this.#full.delete(check);
    return before !== this.full;
  }

  /** Ends the current downtime, if there is one.
   *  @returns its length in milliseconds, null when there was none */
  close(): number | null {
    const open = this.#open;
    if (open === null) return null;
    const now = this.#clock.monotonicMs();
    open.endedMs = now;
    this.#closedMs += now - open.sinceMs;
    [this.#upSinceMs, this.#upSinceWallMs] = [now, open.startedWallMs + (now - open.sinceMs)];
    this.#failing.clear();
    this.#open = null;
    return Math.floor(now - open.sinceMs);
  }

  get up(): boolean {
    return this.#open === null;
  }

  /** The latest failure of the current downtime; null while Postgres is up. */
  get failure(): Failure | null {
    return this.#open?.last ?? null;
  }

  /** Since when Postgres is up, or down: milliseconds since 1970. */
  get sinceWallMs(): number {
    return this.#open?.startedWallMs ?? this.#upSinceWallMs;
  }

  /** The latest moment at which Postgres is known to have been up, milliseconds since 1970. */
  get lastUpWallMs(): number {
    return this.#open?.startedWallMs ?? this.#clock.wallMs();
  }

  /** Length of the current downtime until now, in whole milliseconds; 0 while Postgres is up. */
  get currentMs(): number {
    return Math.floor(this.#currentMs());
  }

  /** Whole milliseconds of all downtimes, including the current one. Never decreases. */
  get totalMs(): number {
    return Math.floor(this.#closedMs + this.#currentMs());
  }

  /** The last hundred downtimes, the latest first. */
  incidents(): Incident[] {
    return this.#downtimes.map((each) => this.#incident(each)).toReversed();
  }

  #currentMs(): number {
    return this.#open === null ? 0 : this.#clock.monotonicMs() - this.#open.sinceMs;
  }

  #incident({ sinceMs, startedWallMs, endedMs, first, last, failedChecks }: Downtime): Incident {
    const durationMs = Math.floor((endedMs ?? this.#clock.monotonicMs()) - sinceMs);
    return {
      started_at: new Date(startedWallMs).toISOString(),
      ended_at: endedMs === null ? null : new Date(startedWallMs + durationMs).toISOString(),
      duration_ms: durationMs,
      reason: first.reason,
      sqlstate: first.sqlstate,
      message: first.message,
      last_reason: last.reason,
      failed_checks: failedChecks,
    };
  }
}
