import type { Readable } from 'node:stream';
import { type OutboundAnswer, type OutboundRequest, exchange } from './exchange.ts';

export interface HttpAnswer extends Pick<OutboundAnswer, 'status' | 'statusLine'> {
  readonly body: string;
}

export interface HttpGet extends Pick<OutboundRequest, 'url' | 'headers' | 'signal' | 'env'> {
  /** A longer body is an error. */
  readonly maxBytes: number;
}

/** One GET of a text. Redirects are not followed.
 *  @throws as `exchange` */
export const httpGet = ({ maxBytes, ...get }: HttpGet): Promise<HttpAnswer> =>
  exchange({ ...get, method: 'GET' }, async ({ status, statusLine, headers, body }) => ({
    status,
    statusLine,
    body: (await collect(body, maxBytes, Number(headers['content-length'] ?? 0))).toString('utf8'),
  }));

/** The whole body. @throws Error when it is longer */
export async function collect(stream: Readable, maxBytes: number, announced = 0): Promise<Buffer> {
  if (announced > maxBytes) throw tooLong(maxBytes);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) throw tooLong(maxBytes);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

const tooLong = (maxBytes: number): Error => new Error(`the body of the answer exceeds ${maxBytes} bytes`);
