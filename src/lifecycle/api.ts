import type { Failure } from '../core/failure.ts';
import type { Lifecycle } from '../core/lifecycle.ts';
import type { Lsn } from '../core/lsn.ts';
import type { Retrying } from '../core/retries.ts';
import type { Status } from '../core/status.ts';
import type { ComputeSpec } from '../spec/schema.ts';
import type { DatabaseApi } from '../database/api.ts';
import type { WantedExtension } from '../database/install-extension.ts';
import type { OverriddenSetting, PendingRestart } from '../postgres/conf-in-force.ts';
import type { ExtensionStatistics } from '../database/installed-extensions.ts';
import type { Health } from '../services/service.ts';
import type { FailedDatabase } from './failed-databases.ts';
import type { LfcApi } from '../services/file-cache/api.ts';
import type { DowntimeReport, PostgresReport } from '../monitor/report.ts';

/** The answer of a probe. Anybody may ask, so it has fixed words only: no text of a server, a spec or an error. */
export interface ProbeReport {
  readonly ok: boolean;
  /** When the answer began to hold: of a refusal, when its reason did. */
  readonly since: Date;
  /** Why the answer is no, or why it is yes before the first start; else null. */
  readonly reason: string | null;
}

/** Commits that do not return. */
export interface StuckCommits {
  /** RFC 3339, UTC. */
  readonly since: string;
  /** Commits that wait now; 20 stands for more. */
  readonly waiting: number;
  readonly reason: string;
  /** What to do. */
  readonly hint: string;
}

/** The body of `GET /status` and of a successful `POST /configure`. */
export interface StatusBody {
  /** RFC 3339, UTC, ends in `Z`. */
  readonly start_time: string;
  readonly tenant: string | null;
  readonly timeline: string | null;
  readonly status: Status;
  /** RFC 3339, UTC, ends in `+00:00`. */
  readonly last_active: string | null;
  /** For people: message, causes, hints, step, code. */
  readonly error: string | null;
  /** The same in parts; absent when nothing failed. */
  readonly failure?: Failure;
  /** Absent when nothing is. */
  readonly retrying?: Retrying[];
  /** Present once the compute has run. */
  readonly postgres?: PostgresReport;
  /** Absent while commits return. */
  readonly commits?: StuckCommits;
  /** By name: every service that the spec asks for. */
  readonly services: Readonly<Record<string, Health>>;
  /** Absent when there are none. */
  readonly pending_restart?: PendingRestart[];
  /** Absent when there are none. */
  readonly overridden_settings?: OverriddenSetting[];
  /** Absent before they were counted. */
  readonly installed_extensions?: ExtensionStatistics;
  /** Absent when there are none. */
  readonly failed_databases?: FailedDatabase[];
}

/** The figures of `GET /metrics.json`: whole numbers, 0 until measured. */
export interface StartFigures {
  wait_for_spec_ms: number;
  sync_sk_check_ms: number;
  sync_safekeepers_ms: number;
  pageserver_connect_micros: number;
  basebackup_ms: number;
  basebackup_bytes: number;
  start_postgres_ms: number;
  config_ms: number;
  total_startup_ms: number;
  load_ext_ms: number;
  num_ext_downloaded: number;
  largest_ext_size: number;
  total_ext_download_size: number;
}

export type TerminateMode = 'fast' | 'immediate';

/** The body of `POST /promote`. */
export type PromoteState =
  | {
      readonly status: 'completed';
      readonly lsn_wait_time_ms: number;
      readonly pg_promote_time_ms: number;
      readonly reconfigure_time_ms: number;
    }
  | { readonly status: 'failed'; readonly error: string };

/** All that the HTTP routes may call on the compute. */
export interface ComputeApi {
  readonly lifecycle: Lifecycle;
  /** Decides `/readyz`. */
  readonly readiness: ProbeReport;
  /** Decides `/startupz`. */
  readonly startup: ProbeReport;
  /** True while Postgres answers that it has no free connection. */
  readonly full: boolean;
  /** True while the storage has stopped writes, because its disk is nearly full. */
  readonly writesStopped: boolean;
  status(): StatusBody;
  figures(): Readonly<StartFigures>;
  /** When and why Postgres did not answer. */
  downtime(): DowntimeReport;
  /** Writes a row. A full disk counts as success, since it is not a fault of Postgres.
   *  @throws ComputeError `sql` */
  checkWritability(signal: AbortSignal): Promise<true>;
  /** Accepts a new spec and waits until it is running.
   *  @param body the parsed JSON: `{ spec, compute_ctl_config }`, not yet validated
   *  @param signal the client disconnected: stop waiting; the work continues
   *  @throws ComputeError `spec_shape` (422), `spec_invalid` (400), `wrong_status` or `not_allowed` (412), `internal` (500) */
  configure(body: unknown, signal: AbortSignal): Promise<StatusBody>;
  /** Stops Postgres and waits until the compute is terminated.
   *  @returns the LSN that is safe in the storage, null when there is none; `already`: the compute had already terminated */
  terminate(mode: TerminateMode, signal: AbortSignal): Promise<{ lsn: string | null; already: boolean }>;
  /** Calls that run SQL or a program against this compute's Postgres. */
  readonly database: DatabaseApi;
  readonly lfc: LfcApi;
  /** Requests that the config is fetched again, and does not wait for it.
   *  @throws ComputeError `internal` in a status that has nothing to refresh */
  refresh(): void;
  /** Promotes a replica to primary.
   *  @param spec the former primary's   @param lsn where the former primary's WAL ended
   *  @throws ComputeError `spec_invalid` (400), `wrong_status` without a spec (412) */
  promote(spec: ComputeSpec, lsn: Lsn, signal: AbortSignal): Promise<PromoteState>;
  /** Installs an extension in a database, after downloading it if necessary.
   *  @throws ComputeError `sql`, `bad_request`, and for the download `download`, `archive_invalid` */
  installExtension(wanted: WantedExtension, signal: AbortSignal): Promise<void>;
  /** Installs a remote extension's files.
   *  @throws ComputeError `not_allowed` without a gateway (412), `conflict` when the spec has no remote extensions
   *  (409), `not_found` (404), `download`, `archive_invalid` (500) */
  downloadExtension(name: string, isLibrary: boolean, signal: AbortSignal): Promise<void>;
}
