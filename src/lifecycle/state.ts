import { monotonicMs } from '../core/clock.ts';
import { type Failure, partsOf } from '../core/failure.ts';
import { Lifecycle } from '../core/lifecycle.ts';
import { Retries } from '../core/retries.ts';
import type { ExtensionStatistics } from '../database/installed-extensions.ts';
import type { Monitor } from '../monitor/monitor.ts';
import { stuckHint, stuckWords } from '../monitor/watch-commits.ts';
import type { ServiceRunner } from '../services/runner.ts';
import type { StorageReport } from '../services/reports.ts';
import type { ResolvedSpec } from '../spec/resolve.ts';
import type { OverriddenSetting, PendingRestart } from '../postgres/conf-in-force.ts';
import type { Postgres } from '../postgres/postgres.ts';
import type { Span, TraceHeaders } from '../telemetry/trace.ts';
import type { StartFigures, StatusBody, StuckCommits } from './api.ts';
import { FailedDatabases } from './failed-databases.ts';
import { StopRequest } from './stop-request.ts';

const noFigures = (): StartFigures => ({
  wait_for_spec_ms: 0,
  sync_sk_check_ms: 0,
  sync_safekeepers_ms: 0,
  pageserver_connect_micros: 0,
  basebackup_ms: 0,
  basebackup_bytes: 0,
  start_postgres_ms: 0,
  config_ms: 0,
  total_startup_ms: 0,
  load_ext_ms: 0,
  num_ext_downloaded: 0,
  largest_ext_size: 0,
  total_ext_download_size: 0,
});

/** One compute's state. The operations write it, `/status` and `/metrics.json` read it. */
export class ComputeState {
  readonly lifecycle = new Lifecycle();
  readonly stop = new StopRequest();
  readonly figures = noFigures();
  /** True while a replica is being promoted: no other request may change its configuration. */
  promoting = false;
  /** The databases that are not as the spec asks, although the compute runs. */
  readonly databases = new FailedDatabases();
  /** The settings that the latest reload could not bring into force. */
  pendingRestart: readonly PendingRestart[] = [];
  /** The settings of the spec that a file of somebody else overrides. */
  overriddenSettings: readonly OverriddenSetting[] = [];
  /** What has failed and is tried again. */
  readonly retries = new Retries();
  /** The services, for `/status`. */
  services: Pick<ServiceRunner, 'health' | 'error'> | null = null;
  /** The request that brought the spec, or the process's parent, for traces. */
  askedBy: Span | TraceHeaders | null = null;
  /** The running Postgres; null before its start and after its end. */
  postgres: Postgres | null = null;
  /** Resolved when Postgres was first spawned. */
  readonly spawned = Promise.withResolvers<void>();
  /** Checks whether Postgres answers, and when it was last used. */
  monitor: Monitor | null = null;
  /** Which extensions the databases have; null before they were counted. */
  extensions: ExtensionStatistics | null = null;
  /** What the storage last said about itself; null where it cannot be asked. */
  storage: StorageReport | null = null;
  /** The end of the WAL in the storage when this compute shut down; null before, and if it is not a primary. */
  flushLsn: string | null = null;
  /** The current spec, or the one that is being applied. Only `SpecAcceptance` writes it. */
  spec: ResolvedSpec | null;
  /** A compute that waits for its first spec is started, for `/startupz`: an orchestrator must not end it for waiting. */
  readonly emptyCountsAsStarted: boolean;
  /** Since when the compute waits, or waited, for its first spec; null when it had one at once. */
  waitedSince: Date | null = null;
  /** The steps of the first start that run now. */
  readonly steps = new Set<string>();
  #startTime = new Date();
  #startMs = monotonicMs();

  constructor(spec: ResolvedSpec | null = null, { emptyCountsAsStarted = false } = {}) {
    this.spec = spec;
    this.emptyCountsAsStarted = emptyCountsAsStarted;
  }

  /** Milliseconds, for `total_startup_ms`: since process set-up, or since a pushed spec arrived. */
  get sinceStartMs(): number {
    return Math.round(monotonicMs() - this.#startMs);
  }

  /** Sets the start time to now: a compute that waited for its spec counts from the spec's arrival. */
  specArrived(): void {
    this.figures.wait_for_spec_ms = this.sinceStartMs;
    this.#startTime = new Date();
    this.#startMs = monotonicMs();
  }

  status(): StatusBody {
    const retrying = this.retries.list();
    return {
      start_time: this.#startTime.toISOString(),
      tenant: this.spec?.tenantId ?? null,
      timeline: this.spec?.timelineId ?? null,
      status: this.lifecycle.status,
      last_active: this.monitor?.lastActivity?.at.toISOString().replace('Z', '+00:00') ?? null,
      error: this.lifecycle.error ?? this.services?.error ?? null,
      ...failureIn(this.lifecycle),
      ...(retrying.length > 0 ? { retrying } : {}),
      ...(this.monitor?.begun === true ? { postgres: this.monitor.postgresReport() } : {}),
      ...commitsIn(this),
      services: this.services?.health() ?? {},
      ...(this.pendingRestart.length > 0 ? { pending_restart: [...this.pendingRestart] } : {}),
      ...(this.overriddenSettings.length > 0 ? { overridden_settings: [...this.overriddenSettings] } : {}),
      ...(this.extensions === null ? {} : { installed_extensions: this.extensions }),
      ...(this.databases.size > 0 ? { failed_databases: this.databases.list() } : {}),
    };
  }
}

const failureIn = ({ failure }: Lifecycle): { failure?: Failure } =>
  failure === null ? {} : { failure: partsOf(failure) };

function commitsIn({ monitor, storage }: ComputeState): { commits?: StuckCommits } {
  const stuck = monitor?.begun === true ? monitor.stuckCommits : null;
  if (stuck === null) return {};
  const trouble = storage?.trouble ?? null;
  return {
    commits: {
      since: new Date(stuck.sinceWallMs).toISOString(),
      waiting: stuck.waiting,
      reason: trouble?.reason ?? stuckWords[stuck.reason],
      hint: trouble?.act ?? stuckHint,
    },
  };
}
