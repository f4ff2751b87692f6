import type { LoadedConfig } from '../config/load.ts';
import { withLinked } from '../core/abort.ts';
import { sleep, withDeadline } from '../core/clock.ts';
import { ComputeError, inline, multiline } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { backoffMs } from '../core/retry.ts';
import type { Status } from '../core/status.ts';
import type { SpecAcceptance } from './accept-spec.ts';
import { sameSpec } from './same-spec.ts';
import type { ComputeState } from './state.ts';

export interface RefreshOptions {
  readonly state: ComputeState;
  readonly log: Log;
  /** Reads the config from where it was read at the start. */
  readonly load: (signal: AbortSignal) => Promise<LoadedConfig>;
  readonly specs: SpecAcceptance;
  /** Brings the spec in force into the running Postgres. */
  readonly reconfigure: () => Promise<void>;
  /** Milliseconds until the first repetition after a failure; it doubles up to sixteen times that. */
  readonly pauseMs?: number;
}

const loadMs = 120_000;
const refreshable: readonly Status[] = ['running', 'failed', 'refresh_configuration_pending'];

/** Fetches the spec anew when somebody, mostly Postgres itself, suspects that the one in force is out of date. */
export class Refresh {
  readonly #options: RefreshOptions;
  /** Ends the pause before the next try; null when nothing is under way. */
  #again: AbortController | null = null;
  /** What Postgres runs with may not be what is stored. */
  #unsettled = false;

  constructor(options: RefreshOptions) {
    this.#options = options;
  }

  /** Asks for a refresh and does not wait for it.
   *  @throws ComputeError `internal` in a status that has nothing to refresh */
  ask(): void {
    const { lifecycle, postgres } = this.#options.state;
    const { status } = lifecycle;
    // What is under way in a promotion brings a new spec anyway.
    if (status === 'init' || this.#options.state.promoting) return;
    if (!refreshable.includes(status) || postgres === null) {
      const state = status.replaceAll(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase());
      throw new ComputeError('internal', `Cannot refresh compute configuration in state ${state}`);
    }
    if (status === 'failed') this.#unsettled = true;
    lifecycle.tryMove('refresh_configuration_pending');
    if (this.#again === null) void this.#untilDone();
    else this.#again.abort();
  }

  async #untilDone(): Promise<void> {
    const { state, log, pauseMs = 5000 } = this.#options;
    this.#again = new AbortController();
    for (let failures = 1; state.lifecycle.tryMove('refresh_configuration'); failures++) {
      this.#again = new AbortController();
      try {
        await this.#once(state.stop.asked);
        state.lifecycle.tryMove('running');
        break;
      } catch (error) {
        log.error(`could not refresh the configuration: ${inline(error)}`);
        // Without a Postgres there is nothing to configure: the compute ends.
        if (state.lifecycle.status !== 'refresh_configuration' || state.postgres === null) break;
        if (!state.lifecycle.tryMove('refresh_configuration_pending', multiline(error))) break;
      }
      const ms = backoffMs(failures, { firstMs: pauseMs, maxMs: 16 * pauseMs });
      // Asked again, or shutting down: no more waiting. The status tells which.
      const outer = [state.stop.asked, this.#again.signal];
      await withLinked(outer, (signal) => sleep(ms, signal)).catch(() => {});
    }
    this.#again = null;
  }

  async #once(signal: AbortSignal): Promise<void> {
    const { state, log, load, specs, reconfigure } = this.#options;
    const { spec, config } = await withDeadline('fetching the configuration', loadMs, signal, load);
    if (spec === null) throw new ComputeError('control_plane', 'the configuration holds no spec any more');
    if (!this.#unsettled && state.spec !== null && sameSpec(state.spec, spec)) {
      await specs.rotate(config);
      log.info('the configuration is what it was');
      return;
    }
    await specs.accept({ spec, config }, 'next', () => void (this.#unsettled = true));
    await reconfigure();
    this.#unsettled = false;
    log.info('refreshed the configuration');
  }
}
