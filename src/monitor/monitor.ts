import { monotonicMs, sleep } from '../core/clock.ts';
import { type Pauses, backoffMs, repeat } from '../core/retry.ts';
import { sessionsOpened } from '../pg/client.ts';
import { tooManyConnections } from '../pg/full.ts';
import { ownSession } from '../pg/session-settings.ts';
import { describeTarget } from '../pg/target.ts';
import { type Activity, ActivityTracker } from './activity.ts';
import { systemDatabases } from './activity-query.ts';
import { ActivityConnection, CheckFailed, FreshConnection } from './checks.ts';
import type { Stuck } from './commits.ts';
import { type Failure, postgresExited } from './failure.ts';
import { type Check, type Clock, DowntimeLedger, checks } from './ledger.ts';
import { type MonitorOptions, type MonitorTimes, monitorTimes } from './options.ts';
import { type DowntimeReport, type PostgresReport, downtimeReport, postgresReport } from './report.ts';
import { Commits } from './watch-commits.ts';

const realClock: Clock = { monotonicMs, wallMs: () => Date.now() };
/** A postmaster that has just ended is reaped shortly after its connections were lost. */
const reapMs = 50;
/** If a check exceeds its limit by this much, this process was stopped, not Postgres. */
const stoodStillMs = 500;

/** Checks periodically whether Postgres answers and whether it is used, from `begin` until its exit or `stop`. */
export class Monitor {
  readonly #options: MonitorOptions;
  readonly #times: MonitorTimes;
  readonly #ledger: DowntimeLedger;
  readonly #activity = new ActivityTracker();
  readonly #commits: Commits;
  readonly #stop = new AbortController();
  #originMs = 0;
  readonly #endedMs: Record<Check, number> = { activity: 0, connect: 0 };
  #running: Promise<void> | null = null;

  constructor(options: MonitorOptions) {
    this.#options = options;
    this.#times = { ...monitorTimes, ...options.times };
    this.#ledger = new DowntimeLedger(options.clock ?? realClock);
    const { metrics, log, target } = options;
    this.#commits = new Commits({ target, limits: this.#times, log, metrics });
    metrics.observe('compute_pg_current_downtime_ms', () => this.#ledger.currentMs);
    metrics.observe('compute_pg_full', () => (this.full ? 1 : 0));
    metrics.observe('compute_pg_downtime_ms_total', () => this.#ledger.totalMs);
  }

  /** The compute runs for the first time: time counts from now. Later calls do nothing. */
  begin(): void {
    if (this.#running !== null || this.#stop.signal.aborted) return;
    this.#originMs = monotonicMs();
    for (const check of checks) this.#endedMs[check] = this.#originMs;
    this.#ledger.begin();
    this.#options.log.info(`starting compute monitor for ${describeTarget(this.#options.target)}`);
    this.#running = this.#run();
  }

  get begun(): boolean {
    return this.#running !== null;
  }

  /** Called when Postgres is to be stopped: from now on a missing answer is not downtime. Resolves when all checks ended. */
  async stop(): Promise<void> {
    if (!this.#stop.signal.aborted) {
      this.#stop.abort();
      this.#ledger.close();
      if (this.begun) this.#options.log.info('stopping compute monitor');
    }
    await this.#running;
  }

  /** Called when Postgres has ended by itself. This downtime lasts until this process ends. */
  postgresExited(): void {
    if (!this.begun || this.#stop.signal.aborted) return;
    this.#stop.abort();
    this.#failed('connect', postgresExited);
  }

  /** Milliseconds for which one of the checks has not come to an end, neither good nor bad; 0 while they are not wanted. */
  get stalledMs(): number {
    if (!this.begun || this.#stop.signal.aborted) return 0;
    return Math.max(...checks.map((check) => monotonicMs() - this.#endedMs[check]));
  }

  /** Whether Postgres answered the last checks. */
  get up(): boolean {
    return this.#ledger.up;
  }

  /** Whether Postgres answers that it has no free connection; then it is up. */
  get full(): boolean {
    return this.#ledger.full;
  }

  /** Since when and why commits do not return; null while they do, as far as is known. */
  get stuckCommits(): Stuck | null {
    return this.#commits.stuck;
  }

  /** The latest activity, null until there was some; never goes back. */
  get lastActivity(): Activity | null {
    return this.#activity.last;
  }

  postgresReport(): PostgresReport {
    return postgresReport(this.#ledger, this.#activity.last);
  }

  downtimeReport(): DowntimeReport {
    return downtimeReport(this.#ledger);
  }

  async #run(): Promise<void> {
    const { useStatistics } = this.#options;
    const target = ownSession(this.#options.target);
    const { activityMs, freshMs } = this.#times;
    const kept = new ActivityConnection(target, this.#times);
    const { signal } = this.#stop;
    const look = async (): Promise<void> => {
      const row = await kept.look(useStatistics(), signal);
      this.#commits.take(row, signal);
      const sessions = sessionsOpened(target, [...systemDatabases, target.database]);
      this.#activity.take(row, { sessions, monotonicMs: monotonicMs() });
    };
    const fresh = new FreshConnection(target, this.#times);
    const connect = (): Promise<void> => fresh.try(signal);
    try {
      await Promise.all([
        this.#repeat('activity', activityMs, look),
        this.#repeat('connect', freshMs, connect),
        this.#options.beside?.(signal),
      ]);
    } finally {
      kept.close();
      await this.#commits.ended();
    }
  }

  /** Runs a check at a fixed interval while it succeeds, and with growing pauses while it fails. */
  async #repeat(check: Check, periodMs: number, make: () => Promise<void>): Promise<void> {
    const { signal } = this.#stop;
    const pauses: Pauses = { firstMs: this.#times.retryMs, maxMs: this.#times.retryMaxMs, jitter: [0.5, 1] };
    let failures = 0;
    let excused = false;
    const once = async (): Promise<number> => {
      const failed = await this.#make(check, make);
      const stoodStill: boolean = !excused && failed !== null && failed.lateMs > stoodStillMs;
      excused = stoodStill;
      if (signal.aborted || stoodStill) return 0;
      const full = failed?.failure.sqlstate === tooManyConnections;
      if (failed === null || full) {
        failures = 0;
        this.#succeeded(check);
        this.#setFull(check, full);
        return this.#untilNext(periodMs);
      }
      this.#setFull(check, false);
      await this.#judge(check, failed);
      return backoffMs(++failures, pauses);
    };
    await repeat(once, signal);
  }

  /** Both checks use the same ticks, so that an idle process wakes up less often. After a slow check a tick is skipped,
   *  so that a slow server gets a pause between checks. */
  #untilNext(periodMs: number): number {
    const pauseMs = periodMs - ((monotonicMs() - this.#originMs) % periodMs);
    return pauseMs < periodMs / 5 ? pauseMs + periodMs : pauseMs;
  }

  async #make(check: Check, make: () => Promise<void>): Promise<CheckFailed | null> {
    const startMs = monotonicMs();
    try {
      await make();
      return null;
    } catch (error) {
      return error instanceof CheckFailed
        ? error
        : new CheckFailed({ phase: 'query', error, timedOut: false }, 0);
    } finally {
      this.#endedMs[check] = monotonicMs();
      if (!this.#stop.signal.aborted) {
        const seconds = (monotonicMs() - startMs) / 1000;
        this.#options.metrics.record('compute_pg_check_duration_seconds', seconds, { check });
      }
    }
  }

  async #judge(check: Check, failed: CheckFailed): Promise<void> {
    const { isRunning } = this.#options;
    const { signal } = this.#stop;
    if (this.up && !failed.failure.reason.endsWith('_timeout')) await sleep(reapMs, signal).catch(() => {});
    if (signal.aborted) return;
    this.#failed(check, isRunning() ? failed.failure : postgresExited, failed.phase);
  }

  #succeeded(check: Check): void {
    const ms = this.#ledger.succeeded(check);
    if (ms !== null) this.#options.log.info(this.#info, `Postgres answers again after ${ms} ms`);
  }

  /** A server without a free connection answers: it is not down. */
  #setFull(check: Check, full: boolean): void {
    if (!this.#ledger.setFull(check, full)) return;
    if (full) this.#options.log.warn('Postgres answers that it has no free connection (SQLSTATE 53300)');
    else this.#options.log.info('Postgres is no longer without a free connection');
  }

  #failed(check: Check, failure: Failure, phase: CheckFailed['phase'] = 'query'): void {
    const { log, metrics } = this.#options;
    if (check === 'activity') this.#commits.lost();
    const news = this.#ledger.failed(check, failure);
    if (news === 'opened') {
      const { reason, sqlstate } = failure;
      metrics.inc('compute_pg_downtime_incidents_total', { reason, sqlstate: sqlstate ?? '' });
    }
    const text =
      phase === 'connect'
        ? `could not connect to Postgres: ${failure.message}, retrying`
        : `could not check Postgres: ${failure.message}`;
    // An outage is logged once for each reason, not at every check.
    log[news === 'same' ? 'debug' : 'error'](this.#info, text);
  }

  get #info(): { downtime_info: string } {
    const { totalMs, currentMs, lastUpWallMs } = this.#ledger;
    const lastUp = new Date(lastUpWallMs).toISOString();
    return { downtime_info: `total_ms: ${totalMs}, current_ms: ${currentMs}, last_up: ${lastUp}` };
  }
}
