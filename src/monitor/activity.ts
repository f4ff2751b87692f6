import type { ActivityRow } from './activity-query.ts';

export const activityKinds = ['statistics', 'session', 'walsender', 'subscription', 'autovacuum'] as const;
export type ActivityKind = (typeof activityKinds)[number];

export interface Activity {
  readonly at: Date;
  readonly kind: ActivityKind;
}

/** More input for the decision about a row. */
export interface OwnWork {
  /** Number of sessions that compute_ctl has opened in user databases so far. */
  readonly sessions: number;
  /** Now, by a monotonic clock. */
  readonly monotonicMs: number;
}

/** The server's statistics show a session's activity shortly after its end. */
const lagMs = 2000;

/** Decides from each row when the last activity was. The answer never goes back. */
export class ActivityTracker {
  #last: Activity | null = null;
  #idleSinceMs: number | null = null;
  readonly #statistics = new StatisticsTracker();

  get last(): Activity | null {
    return this.#last;
  }

  take(row: ActivityRow, own: OwnWork): void {
    const statistics = this.#statistics.changed(row, own);
    // An idle time in the future was recorded before the server's clock was set back. It counts once.
    const newlyIdle = row.idle_since_ms !== null && row.idle_since_ms !== this.#idleSinceMs;
    this.#idleSinceMs = row.idle_since_ms;
    if (newlyIdle) this.#seen('session', Math.min(row.idle_since_ms ?? 0, row.now_ms));
    if (statistics) this.#seen('statistics', row.now_ms);
    if (row.busy > 0) this.#seen('session', row.now_ms);
    if (row.walsenders > 0) this.#seen('walsender', row.now_ms);
    if (row.subscriptions > 0) this.#seen('subscription', row.now_ms);
    if (row.autovacuum > 0) this.#seen('autovacuum', row.now_ms);
  }

  #seen(kind: ActivityKind, atMs: number): void {
    if (this.#last === null || atMs > this.#last.at.getTime()) this.#last = { at: new Date(atMs), kind };
  }
}

/** Detects short sessions that begin and end between two checks, from the server's cumulative statistics, without
 *  compute_ctl's own sessions. */
class StatisticsTracker {
  #sessions: number | null = null;
  #activeMs = 0;
  /** The highest number of sessions so far that were not ours. */
  #foreign = 0;
  #ownSessions = 0;
  #ownUntilMs = Number.NEGATIVE_INFINITY;

  changed(row: ActivityRow, own: OwnWork): boolean {
    if (row.own_sessions > 0 || own.sessions !== this.#ownSessions)
      this.#ownUntilMs = own.monotonicMs + lagMs;
    this.#ownSessions = own.sessions;
    if (row.sessions === null || row.active_ms === null) {
      this.#sessions = null; // switched off: the next value is a new baseline
      return false;
    }
    const foreign = row.sessions - own.sessions;
    const before = this.#sessions;
    const activeChanged = row.active_ms !== this.#activeMs;
    [this.#sessions, this.#activeMs] = [row.sessions, row.active_ms];
    // A database was dropped, or the statistics were reset; also the first check.
    if (before === null || row.sessions < before) {
      this.#foreign = foreign;
      return before !== null;
    }
    // Our sessions are counted here before the server shows them, so only a new maximum means a user's session.
    const more = foreign > this.#foreign;
    this.#foreign = Math.max(this.#foreign, foreign);
    return more || (activeChanged && own.monotonicMs > this.#ownUntilMs);
  }
}
