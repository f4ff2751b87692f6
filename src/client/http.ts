// The client is independent: it imports nothing from the other folders, not even the clock.
import { setTimeout as pause } from 'node:timers/promises';

export interface ClientOptions {
  /** `http://host:port` of the server. */
  readonly url: string;
  /** How many times a read-only request is sent again after a broken connection or a 503. Default 2. Other requests are
   *  sent again only when no connection could be opened. */
  readonly retries?: number;
  /** Milliseconds for one request that does not wait for the compute. Default 10000. */
  readonly timeoutMs?: number;
  /** Another implementation of fetch. */
  readonly fetch?: typeof fetch;
}

export interface CallOptions {
  readonly signal?: AbortSignal;
  /** Milliseconds. Default: that of the client; 300000 for calls that wait for the compute. */
  readonly timeoutMs?: number;
  /** Sent as `X-Request-Id`, to find the request in the compute's log. */
  readonly requestId?: string;
  /** Sent as `traceparent`, to see the request in a trace. */
  readonly traceparent?: string;
}

/** An answer that is not a success. */
export class ComputeHttpError extends Error {
  /** The HTTP status. */
  readonly status: number;
  /** The request's id in the compute's log. */
  readonly requestId: string | null;
  /** The unchanged body. */
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

/** How a call differs from one that is answered at once. */
export interface How {
  /** Waits for the compute, which may take minutes. */
  readonly waits?: true;
  /** Statuses besides 2xx that are not errors. */
  readonly alsoGood?: readonly number[];
}

/** Sends a request and returns a successful answer.
 *  @throws ComputeHttpError; TypeError when there is no connection; AbortError, TimeoutError */
export type Send = (request: Request) => Promise<Response>;

const pauseMs = 100;
const waitMs = 300_000;

/** Sends the requests of one call within its time limit, and retries if that is safe.
 *  @param authorization called for each attempt; null for none */
export function sender(
  options: ClientOptions,
  authorization: () => Promise<string | null>,
  call: CallOptions = {},
  how: How = {},
): Send {
  const { retries = 2, timeoutMs = 10_000, fetch: send = fetch } = options;
  const limit = AbortSignal.timeout(call.timeoutMs ?? (how.waits === true ? waitMs : timeoutMs));
  const signal = call.signal === undefined ? limit : AbortSignal.any([call.signal, limit]);
  return async (request) => {
    const { method, url } = request;
    const body = request.body === null ? {} : { body: await request.text() };
    for (let attempt = 0; ; attempt++) {
      const last = attempt >= retries;
      try {
        const headers = headersOf(request, await authorization(), call);
        const response = await send(url, { method, headers, signal, redirect: 'error', ...body });
        if (response.ok || how.alsoGood?.includes(response.status) === true) return response;
        if (last || method !== 'GET' || response.status !== 503) throw await failed(request, response);
        await response.body?.cancel();
      } catch (error) {
        if (last || signal.aborted || !(error instanceof TypeError)) throw error;
        if (method !== 'GET' && !neverConnected(error)) throw error;
      }
      await pause(pauseMs * 2 ** attempt, undefined, { signal });
    }
  };
}

const headersOf = (
  request: Request,
  authorization: string | null,
  { requestId, traceparent }: CallOptions,
): Record<string, string> => ({
  ...Object.fromEntries(request.headers),
  ...(authorization !== null && { authorization }),
  ...(requestId !== undefined && { 'x-request-id': requestId }),
  ...(traceparent !== undefined && { traceparent }),
});

async function failed({ method, url }: Request, response: Response): Promise<ComputeHttpError> {
  const requestId = response.headers.get('x-request-id');
  const what = `${method} ${new URL(url).pathname}`;
  return new ComputeHttpError(what, response.status, requestId, await response.text());
}

const neverConnected = ({ cause }: Error): boolean => {
  const all = cause instanceof AggregateError ? (cause.errors as unknown[]) : [cause];
  return all.every((one) => (one as NodeJS.ErrnoException | undefined)?.code === 'ECONNREFUSED');
};
