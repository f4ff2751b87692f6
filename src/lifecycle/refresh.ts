import type { LoadedConfig } from '../config/load.ts';
import { withLinked } from '../core/abort.ts';
import { sleep, withDeadline } from '../core/clock.ts';
import { ComputeError } from '../core/errors.ts';
import { explain } from '../core/failure.ts';
import type { Log } from '../core/log.ts';
import { backoffMs } from '../core/retry.ts';
import type { Status } from '../core/status.ts';
import type { SpecAcceptance } from './accept-spec.ts';
import { sameSpec } from './same-spec.ts';
import type { ComputeState } from './state.ts';
import { failedStep } from './steps.ts';

export interface RefreshOptions {
  readonly state: ComputeState;
  readonly log: Log;
  /** Reads the config from the same source as at the start. */
  readonly load: (signal: AbortSignal) => Promise<LoadedConfig>;
  readonly specs: SpecAcceptance;
  /** Applies the current spec to the running Postgres. */
  readonly reconfigure: () => Promise<void>;
  /** Milliseconds until the first retry; the pause doubles, up to sixteen times this. */
  readonly pauseMs?: number;
}

const loadMs = 120_000;
const refreshable: readonly Status[] = ['running', 'failed', 'refresh_configuration_pending'];

/** Fetches the spec again on request, usually from Postgres when it cannot reach its pageserver. */
export class Refresh {
  readonly #options: RefreshOptions;
  /** Ends the pause before the next attempt; null when no refresh is running. */
  #again: AbortController | null = null;
  /** True: Postgres may not run with the stored spec. */
  #unsettled = false;

  constructor(options: RefreshOptions) {
    this.#options = options;
  }

  /** Requests a refresh and does not wait for it.
   *  @throws ComputeError `internal` in a status that has nothing to refresh */
  ask(): void {
    const { lifecycle, postgres } = this.#options.state;
    const { status } = lifecycle;
    // A running promotion brings a new spec anyway.
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
    const track = state.retries.track('refresh');
    track.begin({ attempts: Infinity, totalMs: Infinity });
    for (let failures = 1; state.lifecycle.tryMove('refresh_configuration'); failures++) {
      this.#again = new AbortController();
      const ms = backoffMs(failures, { firstMs: pauseMs, maxMs: 16 * pauseMs });
      try {
        await this.#once(state.stop.asked);
        state.lifecycle.tryMove('running');
        break;
      } catch (error) {
        const failure = explain(error, failedStep(error));
        log.error(`could not refresh the configuration: ${failure.line}`);
        track.failed({ attempt: failures, error, pauseMs: ms });
        // Without a Postgres there is nothing to configure: the compute shuts down.
        if (state.lifecycle.status !== 'refresh_configuration' || state.postgres === null) break;
        if (!state.lifecycle.tryMove('refresh_configuration_pending', failure)) break;
      }
      // Woken by a new request or a shutdown; the status shows which.
      const outer = [state.stop.asked, this.#again.signal];
      await withLinked(outer, (signal) => sleep(ms, signal)).catch(() => {});
    }
    track.end();
    this.#again = null;
  }

  async #once(signal: AbortSignal): Promise<void> {
    const { state, log, load, specs, reconfigure } = this.#options;
    const { spec, config } = await withDeadline('fetching the configuration', loadMs, signal, load);
    if (spec === null) throw new ComputeError('control_plane', 'the fetched configuration has no spec');
    if (!this.#unsettled && state.spec !== null && sameSpec(state.spec, spec)) {
      await specs.rotate(config);
      log.info('the configuration has not changed');
      return;
    }
    await specs.accept({ spec, config }, 'next', () => void (this.#unsettled = true));
    await reconfigure();
    this.#unsettled = false;
    log.info('refreshed the configuration');
  }
}
