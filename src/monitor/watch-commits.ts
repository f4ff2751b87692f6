import { monotonicMs } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import type { Metrics } from '../metrics/registry.ts';
import type { PgTarget } from '../pg/target.ts';
import type { CheckLimits } from './checks.ts';
import { CommitWatch, type CommitsRow, type Stuck, type StuckReason } from './commits.ts';
import { ownCommit } from './own-commit.ts';

export interface CommitsOptions {
  readonly target: PgTarget;
  readonly limits: CheckLimits;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** In words that anybody may read. */
export const stuckWords: Readonly<Record<StuckReason, string>> = {
  not_connected: 'no synchronous standby is connected',
  no_answer: 'the synchronous standby does not acknowledge them',
};

export const stuckHint =
  'commits wait for the storage, or for the synchronous standby that the spec names: look at its log and its disk; the commits return when it acknowledges them';

const minuteMs = 60_000;
/** From the end of a commit of our own to the next. */
const pauseMs = 10_000;

/** Whether commits return: asked of each reading of the monitor. Logs when they stop returning, once a minute as long as they
 *  do not, and when they do again. */
export class Commits {
  readonly #options: CommitsOptions;
  readonly #watch = new CommitWatch();
  #own: Promise<void> | null = null;
  #ownEndedMs = -Infinity;
  #loggedMs = -Infinity;
  #logged: Stuck | null = null;

  constructor(options: CommitsOptions) {
    this.#options = options;
    options.metrics.observe('compute_pg_commits_stuck_ms', () => {
      const { stuck } = this.#watch;
      return stuck === null ? 0 : Math.max(1, Date.now() - stuck.sinceWallMs);
    });
  }

  get stuck(): Stuck | null {
    return this.#watch.stuck;
  }

  take(row: CommitsRow, signal: AbortSignal): void {
    const nowMs = monotonicMs();
    this.#watch.take(row, nowMs, Date.now());
    if (this.#own === null && this.#watch.suspects(nowMs) && nowMs - this.#ownEndedMs > pauseMs)
      this.#own = this.#find(signal);
    this.#say(nowMs);
  }

  lost(): void {
    this.#watch.lost();
  }

  /** Resolves when no commit of our own is waited for any more. */
  async ended(): Promise<void> {
    await this.#own;
  }

  async #find(signal: AbortSignal): Promise<void> {
    const { target, limits, log } = this.#options;
    this.#watch.ownBegan(monotonicMs());
    try {
      await ownCommit(target, limits, signal);
    } catch (error) {
      if (!signal.aborted) log.debug({ err: error }, 'could not find out by a commit whether commits return');
    } finally {
      this.#watch.ownEnded();
      this.#ownEndedMs = monotonicMs();
      this.#own = null;
    }
  }

  #say(nowMs: number): void {
    const { stuck } = this.#watch;
    const { log } = this.#options;
    if (stuck === null) {
      if (this.#logged === null) return;
      const ms = Date.now() - this.#logged.sinceWallMs;
      this.#logged = null;
      log.info(`commits return again, after ${Math.round(ms / 1000)} s`);
      return;
    }
    if (nowMs - this.#loggedMs < minuteMs && this.#logged?.reason === stuck.reason) return;
    [this.#loggedMs, this.#logged] = [nowMs, stuck];
    const since = new Date(stuck.sinceWallMs).toISOString();
    log.error(
      { since, waiting: stuck.waiting },
      `commits do not return: ${stuckWords[stuck.reason]} (HINT: ${stuckHint})`,
    );
  }
}
