import { Api, bodyOf, done } from './api.ts';
import type { CallOptions, ClientOptions } from './http.ts';
import type {
  ComputeStatus,
  ConfigureRequest,
  DbsAndRoles,
  Downtime,
  OffloadState,
  PrewarmState,
  PromoteRequest,
  PromoteState,
  StartFigures,
  Terminated,
} from './types.ts';

export interface ExternalOptions extends ClientOptions {
  /** A bearer token, or a function that returns a new one for each request; see `mintToken`. */
  readonly token?: string | (() => string | Promise<string>);
}

/** The external server: for control planes, scrapers and autoscalers. Every call rejects with `ComputeHttpError` when
 *  the answer is not a success. */
export class ComputeClient {
  readonly #api: Api;

  constructor(options: ExternalOptions) {
    const { token } = options;
    this.#api = new Api(options, async () => {
      if (token === undefined) return null;
      return `Bearer ${typeof token === 'string' ? token : await token()}`;
    });
  }

  status(call?: CallOptions): Promise<ComputeStatus> {
    return bodyOf(this.#api.http.GET('/status', this.#api.call(call)));
  }

  /** The durations of the phases of the start. */
  startFigures(call?: CallOptions): Promise<StartFigures> {
    return bodyOf(this.#api.http.GET('/metrics.json', this.#api.call(call)));
  }

  /** All metrics in Prometheus's text format. */
  metrics(call?: CallOptions): Promise<string> {
    return bodyOf(this.#api.http.GET('/metrics', { parseAs: 'text', ...this.#api.call(call) }));
  }

  /** The neon extension's metrics, in the same format. */
  autoscalingMetrics(call?: CallOptions): Promise<string> {
    return bodyOf(this.#api.http.GET('/autoscaling_metrics', { parseAs: 'text', ...this.#api.call(call) }));
  }

  /** `livez`: whether the process answers; `readyz`: whether Postgres accepts queries; `startupz`: whether the compute has
   *  been running once. */
  async probe(which: 'livez' | 'readyz' | 'startupz', call?: CallOptions): Promise<boolean> {
    const sent = { ...done, ...this.#api.call(call, { alsoGood: [503] }) };
    const { response } = await this.#api.http.GET(`/${which}`, sent);
    return response.ok;
  }

  /** The slowest statements, each with all columns of `pg_stat_statements`. */
  async insights(call?: CallOptions): Promise<{ readonly pg_stat_statements: readonly object[] }> {
    const inner = await bodyOf(this.#api.http.GET('/insights', this.#api.call(call, { waits: true })));
    return JSON.parse(inner) as { pg_stat_statements: object[] };
  }

  /** When, for how long and why Postgres did not answer. */
  downtime(call?: CallOptions): Promise<Downtime> {
    return bodyOf(this.#api.http.GET('/downtime', this.#api.call(call)));
  }

  dbsAndRoles(call?: CallOptions): Promise<DbsAndRoles> {
    return bodyOf(this.#api.http.GET('/dbs_and_roles', this.#api.call(call, { waits: true })));
  }

  /** A database's schema as SQL, while it is being dumped. The stream fails when the dump fails. */
  async databaseSchema(database: string, call?: CallOptions): Promise<ReadableStream<Uint8Array>> {
    const sent = { params: { query: { database } }, parseAs: 'stream' } as const;
    const waits = this.#api.call(call, { waits: true });
    const body = await bodyOf(this.#api.http.GET('/database_schema', { ...sent, ...waits }));
    if (body === null) throw new TypeError('GET /database_schema: the answer has no body');
    return body;
  }

  /** Resolves when Postgres could write a row, or its disk is full. */
  checkWritability(call?: CallOptions): Promise<true> {
    return bodyOf(this.#api.http.POST('/check_writability', this.#api.call(call, { waits: true })));
  }

  /** Sends a new spec; resolves when the compute runs with it. The work continues when the caller stops waiting. */
  configure(body: ConfigureRequest, call?: CallOptions): Promise<ComputeStatus> {
    return bodyOf(this.#api.http.POST('/configure', { body, ...this.#api.call(call, { waits: true }) }));
  }

  /** Stops Postgres; resolves when it is down. Calling it again is harmless. */
  terminate(mode: 'fast' | 'immediate' = 'fast', call?: CallOptions): Promise<Terminated> {
    const sent = { params: { query: { mode } }, ...this.#api.call(call, { waits: true }) };
    return bodyOf(this.#api.http.POST('/terminate', sent));
  }

  /** Promotes a replica to primary. Also resolves when the promotion failed: then the state says so. */
  async promote(body: PromoteRequest, call?: CallOptions): Promise<PromoteState> {
    const sent = { body, ...this.#api.call(call, { waits: true, alsoGood: [500] }) };
    const { data, error } = await this.#api.http.POST('/promote', sent);
    const state = data ?? error;
    return 'status' in state ? state : { status: 'failed', error: state.error };
  }

  prewarmState(call?: CallOptions): Promise<PrewarmState> {
    return bodyOf(this.#api.http.GET('/lfc/prewarm', this.#api.call(call)));
  }

  /** Starts to fill the file cache, from the state that `fromEndpoint` or else this endpoint saved. */
  async prewarm(fromEndpoint?: string, call?: CallOptions): Promise<void> {
    const query = fromEndpoint === undefined ? {} : { from_endpoint: fromEndpoint };
    await this.#api.http.POST('/lfc/prewarm', { params: { query }, ...done, ...this.#api.call(call) });
  }

  async cancelPrewarm(call?: CallOptions): Promise<void> {
    await this.#api.http.DELETE('/lfc/prewarm', { ...done, ...this.#api.call(call) });
  }

  offloadState(call?: CallOptions): Promise<OffloadState> {
    return bodyOf(this.#api.http.GET('/lfc/offload', this.#api.call(call)));
  }

  /** Starts to save the state of the file cache. */
  async offload(call?: CallOptions): Promise<void> {
    await this.#api.http.POST('/lfc/offload', { ...done, ...this.#api.call(call) });
  }

  /** Resolves when Postgres accepts connections. */
  async liveness(call?: CallOptions): Promise<void> {
    await this.#api.http.GET('/hadron_liveness_probe', { ...done, ...this.#api.call(call, { waits: true }) });
  }
}
