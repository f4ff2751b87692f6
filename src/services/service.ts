import type { Failpoints } from '../core/failpoints.ts';
import type { Log } from '../core/log.ts';
import type { Metrics } from '../metrics/registry.ts';
import type { PreparedPgdata } from '../postgres/prepare.ts';
import type { ResolvedSpec } from '../spec/resolve.ts';
import type { Settings } from './settings.ts';

/** When a service starts: with the process, whether there is a spec or not; while the data directory is prepared; with
 *  the start of the compute, ahead of Postgres, which does not wait for it; once the compute is `running`. */
export type Stage = 'with-process' | 'before-postgres' | 'beside-postgres' | 'after-ready';

/** One line of `postgresql.conf`, without its end. */
export type ConfLine = string;

export interface Health {
  readonly state: 'ok' | 'degraded' | 'failed';
  /** RFC 3339, UTC. */
  readonly since: string;
  readonly error: string | null;
}

export interface ServiceDeps {
  readonly settings: Settings;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly failpoints: Failpoints;
  /** Null until the start has prepared it. */
  readonly pgdata: () => PreparedPgdata | null;
}

/** What a spec may ask for beside Postgres itself. One without `start` is not built: who asks for it is told, and
 *  nothing else of it is done, written or shown. */
export interface Service<Wanted> {
  /** Its log lines, its key in `/status`, its label in metrics. */
  readonly name: string;
  readonly when: Stage;
  /** Milliseconds for its start; 10,000 when left out. */
  readonly startLimitMs?: number;
  /** Milliseconds for its end; 5,000 when left out. */
  readonly stopLimitMs?: number;
  /** A start that fails fails the start of the compute: the original's contract for what a machine must have first. */
  readonly required?: true;
  /** Decided at the start of the compute alone, whatever later specs say. */
  readonly once?: true;
  /** While it is not ok, its error is shown as that of the compute, unless that has one of its own. */
  readonly showsError?: true;
  /** Pure. Null: nothing of it is done, written or shown. */
  wants(spec: ResolvedSpec, settings: Settings): Wanted | null;
  /** The same for a process that has no spec yet; asked of `with-process` only. */
  wantsWithoutSpec?(settings: Settings): Wanted | null;
  /** Lines that make sense only while it runs. */
  conf?(wanted: Wanted): readonly ConfLine[];
  start?(wanted: Wanted, deps: ServiceDeps, signal: AbortSignal): Promise<RunningService<Wanted>>;
}

export interface RunningService<Wanted> {
  reconfigure(wanted: Wanted, signal: AbortSignal): Promise<void>;
  /** Resolves when nothing of it is left. */
  stop(signal: AbortSignal): Promise<void>;
  readonly health: Health;
}

export const healthNow = (state: Health['state'], error: string | null = null): Health => ({
  state,
  since: new Date().toISOString(),
  error,
});

/** The same health, or a new one where state or error differ: `since` tells when it came to that. */
export const nextHealth = (now: Health, state: Health['state'], error: string | null = null): Health =>
  now.state === state && now.error === error ? now : healthNow(state, error);
