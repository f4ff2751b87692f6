import { type CallOptions, type ClientOptions, Sender } from './http.ts';
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
  /** A bearer token, or what gives a fresh one for each request; see `mintToken`. */
  readonly token?: string | (() => string | Promise<string>);
}

/** The external server: for control planes, scrapers and autoscalers. Every call rejects with `ComputeHttpError` when
 *  the answer is no success. */
export class ComputeClient {
  readonly #sender: Sender;

  constructor(options: ExternalOptions) {
    const { token } = options;
    this.#sender = new Sender(options, async () => {
      if (token === undefined) return {};
      return { authorization: `Bearer ${typeof token === 'string' ? token : await token()}` };
    });
  }

  status(call?: CallOptions): Promise<ComputeStatus> {
    return this.#sender.json({ method: 'GET', path: '/status' }, call);
  }

  /** What the phases of the start took. */
  startFigures(call?: CallOptions): Promise<StartFigures> {
    return this.#sender.json({ method: 'GET', path: '/metrics.json' }, call);
  }

  /** All metrics in the text format of Prometheus. */
  metrics(call?: CallOptions): Promise<string> {
    return this.#sender.text({ method: 'GET', path: '/metrics' }, call);
  }

  /** Metrics of the neon extension, in the same format. */
  autoscalingMetrics(call?: CallOptions): Promise<string> {
    return this.#sender.text({ method: 'GET', path: '/autoscaling_metrics' }, call);
  }

  /** Whether the process answers, Postgres serves, and the compute has been running once. */
  async probe(which: 'livez' | 'readyz' | 'startupz', call?: CallOptions): Promise<boolean> {
    const sent = { method: 'GET', path: `/${which}`, alsoGood: [503] } as const;
    const response = await this.#sender.send(sent, call);
    await response.body?.cancel();
    return response.ok;
  }

  /** The statements that take longest, each with all columns of `pg_stat_statements`. */
  async insights(call?: CallOptions): Promise<{ readonly pg_stat_statements: readonly object[] }> {
    const inner = await this.#sender.json<string>({ method: 'GET', path: '/insights', waits: true }, call);
    return JSON.parse(inner) as { pg_stat_statements: object[] };
  }

  /** When, for how long and why Postgres did not answer. */
  downtime(call?: CallOptions): Promise<Downtime> {
    return this.#sender.json({ method: 'GET', path: '/downtime' }, call);
  }

  dbsAndRoles(call?: CallOptions): Promise<DbsAndRoles> {
    return this.#sender.json({ method: 'GET', path: '/dbs_and_roles', waits: true }, call);
  }

  /** The schema of a database as SQL, while it is being dumped. The stream fails when the dump does. */
  async databaseSchema(database: string, call?: CallOptions): Promise<ReadableStream<Uint8Array>> {
    const sent = { method: 'GET', path: '/database_schema', query: { database }, waits: true } as const;
    const { body } = await this.#sender.send(sent, call);
    if (body === null) throw new TypeError('GET /database_schema: the answer has no body');
    return body;
  }

  /** Resolves when Postgres took a write, or its disk is full. */
  checkWritability(call?: CallOptions): Promise<true> {
    return this.#sender.json({ method: 'POST', path: '/check_writability', waits: true }, call);
  }

  /** Hands over a spec; resolves when the compute runs with it. The work goes on when nobody waits any more. */
  configure(body: ConfigureRequest, call?: CallOptions): Promise<ComputeStatus> {
    return this.#sender.json({ method: 'POST', path: '/configure', body, waits: true }, call);
  }

  /** Stops Postgres; resolves when it is down. Calling it again is harmless. */
  terminate(mode: 'fast' | 'immediate' = 'fast', call?: CallOptions): Promise<Terminated> {
    return this.#sender.json({ method: 'POST', path: '/terminate', query: { mode }, waits: true }, call);
  }

  /** Makes a primary of a replica. A promotion that failed resolves, too: its state says so. */
  async promote(body: PromoteRequest, call?: CallOptions): Promise<PromoteState> {
    const sent = { method: 'POST', path: '/promote', body, waits: true, alsoGood: [500] } as const;
    const state = await this.#sender.json<PromoteState | { readonly error: string }>(sent, call);
    return 'status' in state ? state : { status: 'failed', error: state.error };
  }

  prewarmState(call?: CallOptions): Promise<PrewarmState> {
    return this.#sender.json({ method: 'GET', path: '/lfc/prewarm' }, call);
  }

  /** Starts to fill the file cache, from the state that another endpoint saved if one is given. */
  prewarm(fromEndpoint?: string, call?: CallOptions): Promise<void> {
    const query = fromEndpoint === undefined ? {} : { from_endpoint: fromEndpoint };
    return this.#sender.nothing({ method: 'POST', path: '/lfc/prewarm', query }, call);
  }

  cancelPrewarm(call?: CallOptions): Promise<void> {
    return this.#sender.nothing({ method: 'DELETE', path: '/lfc/prewarm' }, call);
  }

  offloadState(call?: CallOptions): Promise<OffloadState> {
    return this.#sender.json({ method: 'GET', path: '/lfc/offload' }, call);
  }

  /** Starts to save the state of the file cache. */
  offload(call?: CallOptions): Promise<void> {
    return this.#sender.nothing({ method: 'POST', path: '/lfc/offload' }, call);
  }

  /** Resolves when Postgres accepts connections. */
  async liveness(call?: CallOptions): Promise<void> {
    await this.#sender.nothing({ method: 'GET', path: '/hadron_liveness_probe', waits: true }, call);
  }
}
