import { type Readable, pipeline } from 'node:stream';
import type { Exchange } from './exchange.ts';

/** What goes back to the client. */
export class Answer {
  readonly status: number;
  readonly body: string | Readable | null;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, body: Answer['body'], headers: Answer['headers'] = {}) {
    this.status = status;
    this.body = body;
    this.headers = headers;
  }
}

export const json = (status: number, value: unknown): Answer =>
  new Answer(status, JSON.stringify(value), { 'content-type': 'application/json' });

export const text = (status: number, body: string, contentType: string): Answer =>
  new Answer(status, body, { 'content-type': contentType });

export const empty = (status: number, headers: Answer['headers'] = {}): Answer =>
  new Answer(status, null, headers);

/** The body of every failure. */
export const failure = (status: number, message: string): Answer => json(status, { error: message });

/** Bytes of the body that are kept until the client takes them. Those of a stream are not: it is read as they are taken. */
export const keptBytes = ({ body }: Answer): number =>
  typeof body === 'string' ? Buffer.byteLength(body) : 0;

/** Sends the answer of an exchange. When a stream fails, the connection is closed in the middle of the answer; when the
 *  client disconnects, the stream is destroyed. */
export function send(exchange: Exchange, { status, body, headers }: Answer): void {
  const { outgoing, id } = exchange;
  if (body === null || typeof body === 'string') {
    const length = body === null ? 0 : Buffer.byteLength(body);
    outgoing.writeHead(status, { ...headers, 'content-length': length, 'x-request-id': id });
    outgoing.end(body ?? undefined);
    return;
  }
  outgoing.writeHead(status, { ...headers, 'x-request-id': id });
  if (outgoing.req.method === 'HEAD') {
    outgoing.end();
    body.destroy();
    return;
  }
  body.once('error', (error) => exchange.brokeOff(error));
  pipeline(body, outgoing, () => {});
}
