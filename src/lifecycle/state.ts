import { monotonicMs } from '../core/clock.ts';
import { Lifecycle } from '../core/lifecycle.ts';
import { isTerminating } from '../core/status.ts';
import type { Monitor } from '../monitor/monitor.ts';
import type { ServiceRunner } from '../services/runner.ts';
import type { ResolvedSpec } from '../spec/resolve.ts';
import type { Postgres } from '../postgres/postgres.ts';
import type { Span, TraceHeaders } from '../telemetry/trace.ts';
import type { StartFigures, StatusBody } from './api.ts';
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

/** What one compute knows of itself. The operations write it, `/status` and `/metrics.json` read it. */
export class ComputeState {
  readonly lifecycle = new Lifecycle();
  readonly stop = new StopRequest();
  readonly figures = noFigures();
  /** A replica is becoming a primary: nobody else may change its configuration. */
  promoting = false;
  /** Everything beside Postgres, for `/status`. */
  services: Pick<ServiceRunner, 'health' | 'error'> | null = null;
  /** The request that handed over the spec, or what started the process, for traces. */
  askedBy: Span | TraceHeaders | null = null;
  /** The running Postgres; null before its start and after its end. */
  postgres: Postgres | null = null;
  /** Knows whether Postgres answers, and when it was last used. */
  monitor: Monitor | null = null;
  /** The end of WAL that the storage had when this compute left; null before, and for what is not a primary. */
  flushLsn: string | null = null;
  /** The spec in force, or the one that is being brought into force. `SpecAcceptance` alone writes it. */
  spec: ResolvedSpec | null;
  #startTime = new Date();
  #startMs = monotonicMs();

  constructor(spec: ResolvedSpec | null = null) {
    this.spec = spec;
  }

  /** Milliseconds, for `total_startup_ms`: since process set-up, or since a pushed spec arrived. */
  get sinceStartMs(): number {
    return Math.round(monotonicMs() - this.#startMs);
  }

  /** A compute that waited for its spec starts to count when the spec arrives. */
  specArrived(): void {
    this.figures.wait_for_spec_ms = this.sinceStartMs;
    this.#startTime = new Date();
    this.#startMs = monotonicMs();
  }

  get ready(): boolean {
    const { status } = this.lifecycle;
    const started = status !== 'empty' && status !== 'init' && !isTerminating(status);
    return started && (this.postgres?.running ?? false) && (this.monitor?.up ?? true);
  }

  status(): StatusBody {
    return {
      start_time: this.#startTime.toISOString(),
      tenant: this.spec?.tenantId ?? null,
      timeline: this.spec?.timelineId ?? null,
      status: this.lifecycle.status,
      last_active: this.monitor?.lastActivity?.at.toISOString().replace('Z', '+00:00') ?? null,
      error: this.lifecycle.error ?? this.services?.error ?? null,
      ...(this.monitor?.begun === true ? { postgres: this.monitor.postgresReport() } : {}),
      services: this.services?.health() ?? {},
    };
  }
}
