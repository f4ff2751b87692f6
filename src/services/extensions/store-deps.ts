import type { Failpoints } from '../../core/failpoints.ts';
import type { Log } from '../../core/log.ts';
import type { OwnPostgres } from '../../database/settings.ts';
import type { Metrics } from '../../metrics/registry.ts';

/** What the store of extensions works with. */
export interface StoreDeps {
  readonly postgres: OwnPostgres;
  /** Base URL of the gateway, with a slash at its end; null: nothing is downloaded. */
  readonly gateway: string | null;
  /** With proxies: Postgres's own environment has none. */
  readonly env: NodeJS.ProcessEnv;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly failpoints: Failpoints;
  /** Aborts when the compute is asked to stop, or ends by itself. */
  readonly ending: AbortSignal;
}
