import { randomUUID } from 'node:crypto';
import { type IncomingMessage, STATUS_CODES, type ServerResponse } from 'node:http';
import { elapsedMs, monotonicMs } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import { type Span, isTracing, openSpan } from '../telemetry/trace.ts';

const idShape = /^[\x21-\x7e](?:[\x20-\x7e]{0,198}[\x21-\x7e])?$/;
const maxLoggedTarget = 2000;

/** The client's own id when it is printable and at most 200 characters long, else a fresh UUID. */
export const requestId = (given: string | string[] | undefined): string => {
  const first = Array.isArray(given) ? given[0] : given;
  return first !== undefined && idShape.test(first) ? first : randomUUID();
};

/** The first id that was sent. Only when there are several, which Node joins, they are read one by one. */
function givenId(incoming: IncomingMessage): string | string[] | undefined {
  const given = incoming.headers['x-request-id'];
  return given?.includes(',') === true ? incoming.headersDistinct['x-request-id'] : given;
}

/** One request and its answer: its id, its log lines, and a signal that aborts when the client disconnects. */
export class Exchange {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  readonly id: string;
  /** The request's span; null while tracing is off. It never contains headers, since those contain tokens. */
  readonly span: Span | null;
  readonly #log: Log;
  readonly #level: 'debug' | 'info';
  /** Method and target, for the log. */
  readonly #what: string;
  readonly #startMs = monotonicMs();
  #child: Log | undefined;
  #left: AbortController | undefined;
  #failure: Error | undefined;

  constructor(incoming: IncomingMessage, outgoing: ServerResponse, log: Log, quiet: boolean) {
    this.incoming = incoming;
    this.outgoing = outgoing;
    this.id = requestId(givenId(incoming));
    this.#log = log;
    this.#level = quiet ? 'debug' : 'info';
    this.#what = `${incoming.method} ${(incoming.url ?? '').slice(0, maxLoggedTarget)}`;
    this.span = quiet || !isTracing() ? null : spanOf(incoming, this.id);
  }

  get log(): Log {
    this.#child ??= this.#log.child({ request_id: this.id });
    return this.#child;
  }

  get signal(): AbortSignal {
    this.#left ??= new AbortController();
    if (this.outgoing.destroyed) this.#left.abort();
    return this.#left.signal;
  }

  /** Requests that only read get no line at level info when they arrive: they are quick and frequent, and their answer
   *  has a line. */
  begin(): void {
    const reads = this.incoming.method === 'GET' || this.incoming.method === 'HEAD';
    this.#log[reads ? 'debug' : this.#level]({ request_id: this.id }, this.#what);
  }

  /** The rest of the answer failed; a client that is still connected sees the connection break. */
  brokeOff(error: Error): void {
    this.#failure = error;
  }

  /** To be called when the response is closed, sent or not. */
  end(): void {
    const { outgoing, id: request_id } = this;
    const latency = elapsedMs(this.#startMs);
    if (!outgoing.writableFinished || outgoing.errored !== null) {
      this.#left?.abort();
      const why =
        this.#failure === undefined
          ? 'client disconnected before the answer'
          : 'the answer failed before its end';
      const level = this.#failure === undefined ? this.#level : 'error';
      this.#log[level]({ request_id, latency }, `${this.#what}: ${why}`);
      this.span?.end(this.#failure ?? new Error(why));
      return;
    }
    const code = outgoing.statusCode;
    this.span?.set({ 'http.response.status_code': code });
    this.span?.end(code >= 500 ? new Error(STATUS_CODES[code] ?? String(code)) : undefined);
    this.#log[this.#level]({ request_id, code, latency }, `${this.#what} answered`);
    if (code < 500 || this.#level === 'debug') return;
    const classification = `Status code: ${code} ${STATUS_CODES[code] ?? ''}`.trimEnd();
    this.#log.error({ request_id, classification, latency }, 'response failed');
  }
}

function spanOf({ method = '', url = '', headers }: IncomingMessage, id: string): Span | null {
  const path = (url.split('?', 1)[0] ?? '').slice(0, maxLoggedTarget);
  const { traceparent, tracestate } = headers;
  const attributes = { 'http.request.method': method, 'url.path': path, request_id: id };
  return openSpan('HTTP', 'server', attributes, {
    traceparent: typeof traceparent === 'string' ? traceparent : undefined,
    tracestate: typeof tracestate === 'string' ? tracestate : undefined,
  });
}
