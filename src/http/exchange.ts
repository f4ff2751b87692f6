import { randomUUID } from 'node:crypto';
import { type IncomingMessage, STATUS_CODES, type ServerResponse } from 'node:http';
import { elapsedMs, monotonicMs } from '../core/clock.ts';
import type { Log } from '../core/log.ts';

const idShape = /^[\x21-\x7e](?:[\x20-\x7e]{0,198}[\x21-\x7e])?$/;
const maxLoggedTarget = 2000;

/** The client's own id when it is printable and at most 200 characters long, else a fresh UUID. */
export const requestId = (given: string | string[] | undefined): string => {
  const first = Array.isArray(given) ? given[0] : given;
  return first !== undefined && idShape.test(first) ? first : randomUUID();
};

/** One request and its answer: its id, its log lines, and the signal that tells when the client leaves. */
export class Exchange {
  readonly incoming: IncomingMessage;
  readonly outgoing: ServerResponse;
  readonly id: string;
  readonly #log: Log;
  readonly #level: 'debug' | 'info';
  readonly #startMs = monotonicMs();
  #child: Log | undefined;
  #left: AbortController | undefined;

  constructor(incoming: IncomingMessage, outgoing: ServerResponse, log: Log, quiet: boolean) {
    this.incoming = incoming;
    this.outgoing = outgoing;
    this.id = requestId(incoming.headersDistinct['x-request-id']);
    this.#log = log;
    this.#level = quiet ? 'debug' : 'info';
    outgoing.setHeader('x-request-id', this.id);
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

  begin(): void {
    const target = (this.incoming.url ?? '').slice(0, maxLoggedTarget);
    this.#log[this.#level]({ request_id: this.id }, `${this.incoming.method} ${target}`);
  }

  /** To be called when the response is closed, sent or not. */
  end(): void {
    const { outgoing, id: request_id } = this;
    const latency = elapsedMs(this.#startMs);
    if (!outgoing.writableFinished) {
      this.#left?.abort();
      this.#log[this.#level]({ request_id, latency }, 'client left before the answer');
      return;
    }
    const code = outgoing.statusCode;
    this.#log[this.#level]({ request_id, code, latency }, 'request answered');
    if (code < 500 || this.#level === 'debug') return;
    const classification = `Status code: ${code} ${STATUS_CODES[code] ?? ''}`.trimEnd();
    this.#log.error({ request_id, classification, latency }, 'response failed');
  }
}
