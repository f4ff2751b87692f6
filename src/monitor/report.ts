import type { Activity, ActivityKind } from './activity.ts';
import type { DownReason } from './failure.ts';
import type { DowntimeLedger, Incident } from './ledger.ts';

/** The object `postgres` of `GET /status`. */
export interface PostgresReport {
  readonly up: boolean;
  /** It answers that it has no free connection: it is up, and full. */
  readonly full: boolean;
  /** RFC 3339, UTC: since when Postgres is up, or down. */
  readonly since: string;
  readonly current_downtime_ms: number;
  readonly total_downtime_ms: number;
  /** Why the latest check failed; null while it is up. */
  readonly reason: DownReason | null;
  readonly sqlstate: string | null;
  /** The kind of activity at `last_active`. */
  readonly last_activity: ActivityKind | null;
}

/** The body of `GET /downtime`. */
export interface DowntimeReport {
  readonly current_downtime_ms: number;
  readonly total_downtime_ms: number;
  /** The last hundred downtimes, the latest first. */
  readonly incidents: readonly Incident[];
}

export const noDowntime: DowntimeReport = { current_downtime_ms: 0, total_downtime_ms: 0, incidents: [] };

export const postgresReport = (ledger: DowntimeLedger, activity: Activity | null): PostgresReport => ({
  up: ledger.up,
  full: ledger.full,
  since: new Date(ledger.sinceWallMs).toISOString(),
  current_downtime_ms: ledger.currentMs,
  total_downtime_ms: ledger.totalMs,
  reason: ledger.failure?.reason ?? null,
  sqlstate: ledger.failure?.sqlstate ?? null,
  last_activity: activity?.kind ?? null,
});

export const downtimeReport = (ledger: DowntimeLedger): DowntimeReport => ({
  current_downtime_ms: ledger.currentMs,
  total_downtime_ms: ledger.totalMs,
  incidents: ledger.incidents(),
});
