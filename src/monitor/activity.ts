import type { ActivityRow } from './activity-query.ts';

export const activityKinds = ['statistics', 'session', 'walsender', 'subscription', 'autovacuum'] as const;
export type ActivityKind = (typeof activityKinds)[number];

export interface Activity {
  readonly at: Date;
  readonly kind: ActivityKind;
}

/** What else must be known to judge a row. */
export interface OwnWork {
  /** Sessions that compute_ctl has ever opened in databases of users. */
  readonly sessions: number;
  /** Now, by a clock that never goes back. */
  readonly monotonicMs: number;
}

/** The server shows what a session did a moment after it has ended. */
const lagMs = 2000;

/** Decides from one row after the other when there was activity last. The answer never goes back. */
export class ActivityTracker {
  #last: Activity | null = null;
  #idleSinceMs: number | null = null;
  readonly #statistics = new StatisticsTracker();

  get last(): Activity | null {
    return this.#last;
  }

  take(row: ActivityRow, own: OwnWork): void {
    const statistics = this.#statistics.changed(row, own);
    // What is said to be idle since later than now was dated before the clock of the server was set back. It counts once.
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

/** Notices short sessions that come and go between two looks, by the figures that the server sums up; what
 *  compute_ctl did itself is left out of account. */
class StatisticsTracker {
  #sessions: number | null = null;
  #activeMs = 0;
  /** The most sessions seen so far that were not ours. */
  #foreign = 0;
  #ownSessions = 0;
  #ownUntilMs = Number.NEGATIVE_INFINITY;

  changed(row: ActivityRow, own: OwnWork): boolean {
    if (row.own_sessions > 0 || own.sessions !== this.#ownSessions)
      this.#ownUntilMs = own.monotonicMs + lagMs;
    this.#ownSessions = own.sessions;
    if (row.sessions === null || row.active_ms === null) {
      this.#sessions = null; // switched off: what comes next is a new baseline
      return false;
    }
    const foreign = row.sessions - own.sessions;
    const before = this.#sessions;
    const activeChanged = row.active_ms !== this.#activeMs;
    [this.#sessions, this.#activeMs] = [row.sessions, row.active_ms];
    // A database was dropped, or the figures were reset; also the first look.
    if (before === null || row.sessions < before) {
      this.#foreign = foreign;
      return before !== null;
    }
    // Ours are counted here before the server shows them, so only a new height is somebody else's.
    const more = foreign > this.#foreign;
    this.#foreign = Math.max(this.#foreign, foreign);
    return more || (activeChanged && own.monotonicMs > this.#ownUntilMs);
  }
}
