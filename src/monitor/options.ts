import type { Log } from '../core/log.ts';
import type { Metrics } from '../metrics/registry.ts';
import type { PgTarget } from '../pg/target.ts';
import type { CheckLimits } from './checks.ts';
import type { Clock } from './ledger.ts';

export interface MonitorTimes extends CheckLimits {
  /** From one check of the activity to the next. */
  readonly activityMs: number;
  /** From one new connection to the next. */
  readonly freshMs: number;
  /** Pauses after a failure: the first, and the longest. */
  readonly retryMs: number;
  readonly retryMaxMs: number;
}

/** A stopped (SIGSTOP) server is detected within freshMs + connectMs; a continued one within retryMaxMs. */
export const monitorTimes: MonitorTimes = {
  activityMs: 500,
  freshMs: 1000,
  connectMs: 2500,
  queryMs: 2000,
  retryMs: 100,
  retryMaxMs: 1000,
};

export interface MonitorOptions {
  readonly target: PgTarget;
  readonly log: Log;
  readonly metrics: Metrics;
  /** True while the postmaster has not exited. */
  readonly isRunning: () => boolean;
  /** True while the spec also wants activity to be detected from the statistics. */
  readonly useStatistics: () => boolean;
  /** Runs for as long as the checks do; decides nothing. */
  readonly beside?: (signal: AbortSignal) => Promise<void>;
  readonly times?: Partial<MonitorTimes>;
  readonly clock?: Clock;
}
