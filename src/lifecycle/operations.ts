import type { Failpoints } from '../core/failpoints.ts';
import { ComputeError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { noLsn } from '../core/lsn.ts';
import type { LfcApi } from '../services/file-cache/api.ts';
import type { ServiceRunner } from '../services/runner.ts';
import type { Settings } from '../services/settings.ts';
import type { ResolvedSpec } from '../spec/resolve.ts';
import { traced } from '../telemetry/trace.ts';
import type { StartContext } from './context.ts';
import { InitTimeout } from './init-timeout.ts';
import { type PromotionContext, promotion } from './promote.ts';
import type { PromotionRequest } from './promotions.ts';
import { reconfiguration, withSpec } from './reconfigure.ts';
import { DatabaseRetry } from './retry-databases.ts';
import { syncSafekeepersAtShutdown } from './shutdown.ts';
import { startup } from './start.ts';
import type { ComputeState } from './state.ts';
import { type Steps, type StepsRun, runSteps } from './steps.ts';

export interface OperationsDeps {
  readonly settings: Settings;
  readonly state: ComputeState;
  readonly log: Log;
  readonly services: ServiceRunner;
  readonly failpoints: Failpoints;
  readonly lfc: Pick<LfcApi, 'prewarmState'>;
}

/** The steps of each operation; tests pass their own. */
export interface OperationSteps {
  readonly start: Steps<StartContext>;
  readonly reconfigure: Steps<StartContext>;
  readonly promote: Steps<PromotionContext>;
}

const builtIn: OperationSteps = { start: startup, reconfigure: reconfiguration, promote: promotion };

/** The operations on a compute: start, reconfiguration, promotion, shutdown. Owns the values they pass to each other. */
export class Operations {
  readonly #deps: OperationsDeps;
  readonly #steps: OperationSteps;
  readonly #retry: DatabaseRetry;
  #context: StartContext | null = null;

  constructor(deps: OperationsDeps, steps: OperationSteps = builtIn, retry = new DatabaseRetry()) {
    this.#deps = deps;
    this.#steps = steps;
    this.#retry = retry;
  }

  /** The prepared data directory; null until the start has prepared it. */
  get pgdata(): StartContext['pgdata'] {
    return this.#context?.pgdata ?? null;
  }

  /** Starts and configures Postgres with the current spec.
   *  @throws what the failing step threw; Postgres is stopped then */
  async start(signal: AbortSignal): Promise<void> {
    const { state, log, services, settings } = this.#deps;
    const spec = this.#spec();
    await services.bring('with-process', spec, signal);
    await services.bring('beside-postgres', spec, signal);
    const context = this.#newContext(spec);
    this.#context = context;
    const ms: Record<string, number> = {};
    const timeout = new InitTimeout(settings.initTimeoutMs, signal);
    const running: StepsRun = {
      log,
      signal: timeout.signal,
      onBegin(name) {
        state.steps.add(name);
        timeout.began(name);
      },
      onStep: (name, took) => {
        ms[name] = took;
        state.steps.delete(name);
      },
    };
    const run = (): Promise<void> => runSteps(this.#steps.start, context, running);
    await traced('start_compute', {}, run, state.askedBy).finally(() => timeout.end());
    state.figures.total_startup_ms = state.sinceStartMs;
    state.lifecycle.tryMove('running');
    log.info({ total_ms: state.figures.total_startup_ms, steps: ms }, 'compute start finished');
    this.#retry.begin(context);
    await services.bring('after-ready', spec, signal);
  }

  /** Applies the current spec to the running Postgres. */
  async reconfigure(): Promise<void> {
    const { state, log } = this.#deps;
    const context = withSpec(this.#started('reconfigure'), this.#spec());
    await this.#retry.stop();
    const running = { log, signal: state.stop.asked, onStep: () => {} };
    await traced('reconfigure', {}, () => runSteps(this.#steps.reconfigure, context, running));
  }

  /** @returns milliseconds by step name */
  async promote({ replica, ...request }: PromotionRequest): Promise<ReadonlyMap<string, number>> {
    const { state, log, failpoints, lfc } = this.#deps;
    const took = new Map<string, number>();
    const own = withSpec(this.#started('promote'), replica);
    await this.#retry.stop();
    const context = { ...own, ...request, lfc, failpoints };
    const onStep = (name: string, ms: number): unknown => took.set(name, ms);
    await runSteps(this.#steps.promote, context, { log, signal: state.stop.asked, onStep });
    this.#retry.begin(withSpec(context, request.next));
    return took;
  }

  /** Called once Postgres has ended, or when it never started. Never rejects.
   *  @param served false after a failed start: then there is nothing to sync
   *  @param escalate aborts the waits */
  async shutDown(served: boolean, escalate: AbortSignal): Promise<void> {
    const { services } = this.#deps;
    await this.#retry.stop();
    await services.stop('after-ready', escalate);
    if (served && this.#context !== null) await syncSafekeepersAtShutdown(this.#context, escalate);
    await services.stop('beside-postgres', escalate);
  }

  /** Called at the end of the process: stops the services that began with it and releases the lock. Never rejects. */
  async end(escalate: AbortSignal): Promise<void> {
    await this.#deps.services.stop('with-process', escalate);
    await this.#context?.lock?.release();
  }

  #spec(): ResolvedSpec {
    const { spec } = this.#deps.state;
    if (spec === null) throw new ComputeError('internal', 'the compute does not have a spec');
    return spec;
  }

  #started(what: string): StartContext {
    if (this.#context === null) throw new ComputeError('internal', `there is no compute to ${what}`);
    return this.#context;
  }

  #newContext(spec: ResolvedSpec): StartContext {
    const { settings, state, log, services } = this.#deps;
    const nothing = {
      lock: null,
      pgdata: null,
      pageserver: null,
      lsn: noLsn,
      configWritten: Promise.resolve(),
    };
    return { settings, state, spec, log, services, ...nothing };
  }
}
