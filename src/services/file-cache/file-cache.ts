import { linked } from '../../core/abort.ts';
import { ComputeError, explained, inline } from '../../core/errors.ts';
import type { Failpoints } from '../../core/failpoints.ts';
import type { Log } from '../../core/log.ts';
import type { Metrics } from '../../metrics/registry.ts';
import type { PgTarget } from '../../pg/target.ts';
import type { ResolvedSpec } from '../../spec/resolve.ts';
import type { LfcApi, OffloadState, PrewarmState } from './api.ts';
import { checkedEndpoint, savedState } from './endpoint-storage.ts';

export interface FileCacheDeps {
  readonly target: PgTarget;
  /** With proxies: Postgres's own environment has none. */
  readonly env: NodeJS.ProcessEnv;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly failpoints: Failpoints;
  /** The current one; null: there is none. */
  readonly spec: () => ResolvedSpec | null;
  /** Aborts when the compute is asked to stop, or ends by itself. */
  readonly ending: AbortSignal;
}

/** The local file cache of the neon extension: filled from, and saved to, the endpoint storage, in the background. */
export class EndpointFileCache implements LfcApi {
  readonly #deps: FileCacheDeps;
  #prewarm: PrewarmState = { status: 'not_prewarmed' };
  #offload: OffloadState = { status: 'not_offloaded' };
  /** Ends the prewarm that is under way. */
  #cancel: AbortController | null = null;
  #running = new Set<Promise<void>>();

  constructor(deps: FileCacheDeps) {
    this.#deps = deps;
  }

  prewarmState(): PrewarmState {
    return this.#prewarm;
  }

  offloadState(): OffloadState {
    return this.#offload;
  }

  prewarm(fromEndpoint: string | null): void {
    const { metrics } = this.#deps;
    const spec = this.#spec();
    if (fromEndpoint !== null) checkedEndpoint(fromEndpoint);
    if (this.#prewarm.status === 'prewarming')
      throw new ComputeError('busy', 'Multiple requests for prewarm are not allowed');
    this.#prewarm = { status: 'prewarming' };
    metrics.inc('compute_ctl_lfc_prewarms_total');
    this.#run(async () => {
      this.#prewarm = await this.#prewarmed(spec, fromEndpoint);
    });
  }

  cancelPrewarm(): void {
    this.#cancel?.abort();
  }

  offload(): void {
    const { metrics } = this.#deps;
    const spec = this.#spec();
    if (this.#offload.status === 'offloading')
      throw new ComputeError('busy', 'Multiple requests for prewarm offload are not allowed');
    this.#offload = { status: 'offloading' };
    metrics.inc('compute_ctl_lfc_offloads_total');
    this.#run(async () => {
      this.#offload = await this.#offloaded(spec);
    });
  }

  /** Resolves when nothing is under way. */
  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  #spec(): ResolvedSpec {
    const spec = this.#deps.spec();
    if (spec === null) throw new ComputeError('wrong_status', 'the compute does not have a spec');
    return spec;
  }

  #run(work: () => Promise<void>): void {
    const running = work().finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  async #prewarmed(spec: ResolvedSpec, fromEndpoint: string | null): Promise<PrewarmState> {
    const { target, env, log, metrics, failpoints, ending } = this.#deps;
    const over = linked(ending);
    this.#cancel = over;
    const onProgress = (pages: object): void => {
      if (!over.signal.aborted) this.#prewarm = { status: 'prewarming', ...pages };
    };
    try {
      await failpoints.pass('compute-prewarm', over.signal);
      const { loadState } = await import('./states.ts');
      const loaded = await loadState(savedState(spec, fromEndpoint, env), target, onProgress, over.signal);
      return loaded === null ? { status: 'skipped' } : { status: 'completed', ...loaded };
    } catch (error) {
      if (over.signal.aborted) return { status: 'cancelled' };
      metrics.inc('compute_ctl_lfc_prewarm_errors_total');
      log.error(`could not prewarm LFC: ${explained(error)}`);
      return { status: 'failed', error: inline(error) };
    } finally {
      this.#cancel = null;
      over.release();
    }
  }

  async #offloaded(spec: ResolvedSpec): Promise<OffloadState> {
    const { target, env, log, metrics, failpoints, ending } = this.#deps;
    try {
      await failpoints.pass('compute-offload', ending);
      const { saveState } = await import('./states.ts');
      const saved = await saveState(savedState(spec, null, env), target, ending);
      return saved === null ? { status: 'skipped' } : { status: 'completed', ...saved };
    } catch (error) {
      metrics.inc('compute_ctl_lfc_offload_errors_total');
      if (!ending.aborted) log.error(`could not save the state of the LFC: ${explained(error)}`);
      return { status: 'failed', error: inline(error) };
    }
  }
}
