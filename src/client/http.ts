// The client stands alone: it takes nothing from the rest of the sources, not even its clock.
import { setTimeout as pause } from 'node:timers/promises';

export interface ClientOptions {
  /** `http://host:port` of the server. */
  readonly url: string;
  /** How often a request that has no effect is sent again after a broken connection or a 503; 2 when left out.
   *  A request with an effect is sent again only when no connection came about. */
  readonly retries?: number;
  /** Milliseconds for one request that does not wait for the compute; 10000 when left out. */
  readonly timeoutMs?: number;
  /** Another implementation of fetch. */
  readonly fetch?: typeof fetch;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
  /** Milliseconds; for calls that wait, 300000 when left out. */
  readonly timeoutMs?: number;
  /** Sent as `X-Request-Id`, to find the request in the log of the compute. */
  readonly requestId?: string;
  /** Sent as `traceparent`, to see the request in a trace. */
  readonly traceparent?: string;
}

/** An answer that is no success. */
export class ComputeHttpError extends Error {
  /** The HTTP status. */
  readonly status: number;
  /** What the compute calls the request in its log. */
  readonly requestId: string | null;
  /** The body as it came. */
  readonly body: string;

  constructor(what: string, status: number, requestId: string | null, body: string) {
    super(`${what}: ${status} ${reason(body)}`.trimEnd());
    this.name = 'ComputeHttpError';
    this.status = status;
    this.requestId = requestId;
    this.body = body;
  }
}

function reason(body: string): string {
  try {
    return (JSON.parse(body) as { error?: string }).error ?? body;
  } catch {
    return body;
  }
}

export interface Sent {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Waits for the compute, which may take minutes. */
  readonly waits?: true;
  /** Statuses besides 2xx that are answers and no failures. */
  readonly alsoGood?: readonly number[];
}

const pauseMs = 100;
const waitMs = 300_000;

/** Sends requests to one of the servers, again where that is harmless. */
export class Sender {
  readonly #options: ClientOptions;
  readonly #headers: () => Promise<Record<string, string>>;

  constructor(options: ClientOptions, headers: () => Promise<Record<string, string>>) {
    this.#options = options;
    this.#headers = headers;
  }

  /** @throws ComputeHttpError; TypeError when there is no connection; AbortError, TimeoutError */
  async send(sent: Sent, call: CallOptions = {}): Promise<Response> {
    const { retries = 2 } = this.#options;
    const limit = AbortSignal.timeout(this.#limit(sent, call));
    const signal = call.signal === undefined ? limit : AbortSignal.any([call.signal, limit]);
    for (let attempt = 0; ; attempt++) {
      const last = attempt >= retries;
      try {
        const response = await this.#once(sent, call, signal);
        if (response.ok || sent.alsoGood?.includes(response.status) === true) return response;
        if (last || sent.method !== 'GET' || response.status !== 503) throw await failed(sent, response);
        await response.body?.cancel();
      } catch (error) {
        if (last || signal.aborted || !(error instanceof TypeError)) throw error;
        if (sent.method !== 'GET' && !neverConnected(error)) throw error;
      }
      await pause(pauseMs * 2 ** attempt, undefined, { signal });
    }
  }

  async json<T>(sent: Sent, call?: CallOptions): Promise<T> {
    return (await (await this.send(sent, call)).json()) as T;
  }

  async text(sent: Sent, call?: CallOptions): Promise<string> {
    return (await this.send(sent, call)).text();
  }

  /** For answers without a body. */
  async nothing(sent: Sent, call?: CallOptions): Promise<void> {
    await (await this.send(sent, call)).body?.cancel();
  }

  #limit(sent: Sent, call: CallOptions): number {
    return call.timeoutMs ?? (sent.waits === true ? waitMs : (this.#options.timeoutMs ?? 10_000));
  }

  async #once(sent: Sent, call: CallOptions, signal: AbortSignal): Promise<Response> {
    const { url, fetch: send = fetch } = this.#options;
    const { method, path, query = {}, body } = sent;
    const parameters = new URLSearchParams(query).toString();
    const target = `${url.replace(/\/+$/, '')}${path}${parameters === '' ? '' : `?${parameters}`}`;
    const headers = {
      ...(await this.#headers()),
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(call.requestId !== undefined && { 'x-request-id': call.requestId }),
      ...(call.traceparent !== undefined && { traceparent: call.traceparent }),
    };
    return send(target, {
      method,
      headers,
      signal,
      redirect: 'error',
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  }
}

async function failed({ method, path }: Sent, response: Response): Promise<ComputeHttpError> {
  const requestId = response.headers.get('x-request-id');
  return new ComputeHttpError(`${method} ${path}`, response.status, requestId, await response.text());
}

const neverConnected = ({ cause }: Error): boolean => {
  const all = cause instanceof AggregateError ? (cause.errors as unknown[]) : [cause];
  return all.every((one) => (one as NodeJS.ErrnoException | undefined)?.code === 'ECONNREFUSED');
};
