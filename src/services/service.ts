import type { CrashingDatabases, ExtensionStatistics } from '../database/installed-extensions.ts';
import type { Failpoints } from '../core/failpoints.ts';
import type { Log } from '../core/log.ts';
import type { Metrics } from '../metrics/registry.ts';
import type { PreparedPgdata } from '../postgres/prepare.ts';
import type { ResolvedSpec } from '../spec/resolve.ts';
import type { ExtensionStore } from './extensions/store.ts';
import type { LfcApi } from './file-cache/api.ts';
import type { LoadedExtensions, StorageReport } from './reports.ts';
import type { Rsyslog } from './rsyslog/rsyslog.ts';
import type { Settings } from './settings.ts';
import type { TlsReaders } from './tls/readers.ts';

/** When a service starts: with the process, whether there is a spec or not; while the data directory is prepared; beside the base
 *  backup, and Postgres waits for it; with the start of the compute, ahead of Postgres, which does not wait for it; once the
 *  compute is `running`. */
export type Stage =
  | 'with-process'
  | 'before-postgres'
  | 'with-base-backup'
  | 'beside-postgres'
  | 'after-ready';

/** One line of `postgresql.conf`, without its end. */
export type ConfLine = string;

export interface Health {
  readonly state: 'ok' | 'degraded' | 'failed';
  /** RFC 3339, UTC. */
  readonly since: string;
  readonly error: string | null;
  /** What it does now, in words, where there is something to say. */
  readonly detail?: string;
}

export interface ServiceDeps {
  readonly settings: Settings;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly failpoints: Failpoints;
  /** Called with what the storage says about itself, whenever it was asked. */
  readonly onStorageReport: (report: StorageReport) => void;
  readonly extensions: ExtensionStore;
  readonly lfc: LfcApi;
  readonly onExtensionStatistics: (found: ExtensionStatistics) => void;
  readonly crashing: CrashingDatabases;
  readonly rsyslog: Rsyslog;
  /** Called when those that Postgres must have at its start are there. */
  readonly onExtensionsLoaded: (loaded: LoadedExtensions) => void;
  /** Null until a start step has prepared it. */
  readonly pgdata: () => PreparedPgdata | null;
  /** Makes Postgres read its files again, and does not wait for it. Does nothing while Postgres does not run. */
  readonly reloadPostgres: () => void;
  readonly postgresRuns: () => boolean;
  /** Resolves when the start no longer needs the processor: what nothing waits for begins then. Rejects when `signal` aborts. */
  readonly untilCalm: (signal: AbortSignal) => Promise<void>;
  /** Who reads the TLS files of the config, and is told when they were renewed. */
  readonly tlsReaders: TlsReaders;
  /** Aborts when the compute is asked to stop, before Postgres is. */
  readonly stopAsked: AbortSignal;
  /** Whether a signal to the process asked for that, and not `/terminate`. */
  readonly stoppedBySignal: () => boolean;
}

/** An optional function beside Postgres itself that a spec may ask for. */
export interface Service<Wanted> {
  /** Its log lines, its key in `/status`, its label in metrics. */
  readonly name: string;
  readonly when: Stage;
  /** Milliseconds for its start; 10,000 when left out. */
  readonly startLimitMs?: number;
  /** Milliseconds for its stop; 5,000 when left out. */
  readonly stopLimitMs?: number;
  /** A failed start of this service fails the compute's start, as in the original. */
  readonly required?: true;
  /** Decided only at the compute's start; later specs have no effect on it. */
  readonly once?: true;
  /** While it is not ok, its error is shown as the compute's error, unless the compute has its own. */
  readonly showsError?: true;
  /** Pure. Null: not wanted, so the service does, writes and shows nothing. */
  wants(spec: ResolvedSpec, settings: Settings): Wanted | null;
  /** The same for a process that has no spec yet; asked of `with-process` only. */
  wantsWithoutSpec?(settings: Settings): Wanted | null;
  /** Lines that are useful only while it runs. */
  conf?(wanted: Wanted): readonly ConfLine[];
  /** Removes what a process that was killed has left behind. Called once, when the first spec does not want the service;
   *  nothing waits for it. */
  cleanUp?(deps: ServiceDeps): Promise<void>;
  start(wanted: Wanted, deps: ServiceDeps, signal: AbortSignal): Promise<RunningService<Wanted>>;
}

export interface RunningService<Wanted> {
  reconfigure(wanted: Wanted, signal: AbortSignal): Promise<void>;
  /** Resolves when it has stopped completely. */
  stop(signal: AbortSignal): Promise<void>;
  /** Called instead of `stop` when the compute shuts down, where that is not the same. */
  end?(signal: AbortSignal): Promise<void>;
  readonly health: Health;
}

export const healthNow = (state: Health['state'], error: string | null = null, detail?: string): Health => ({
  state,
  since: new Date().toISOString(),
  error,
  ...(detail === undefined ? {} : { detail }),
});

/** The same health, or a new one when state or error differ: `since` is the time of that change. */
export function nextHealth(
  now: Health,
  state: Health['state'],
  error: string | null = null,
  detail?: string,
): Health {
  const next = healthNow(state, error, detail);
  return now.state === state && now.error === error ? { ...next, since: now.since } : next;
}
