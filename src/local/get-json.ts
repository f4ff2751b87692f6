import type { IncomingMessage } from 'node:http';

const maxBytes = 1024 * 1024;

/** Gets JSON, of 1 MiB at most: another program may have taken the port of ours. Not by `fetch`, which takes a short command 35 ms
 *  to load.
 *  @param body is posted as JSON; nothing: a GET
 *  @throws Error for every status but 2xx, and the system's when there is no connection */
export async function getLimitedJson(
  url: string,
  token: string,
  signal: AbortSignal,
  body?: unknown,
): Promise<unknown> {
  const { request } = await import('node:http');
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const method = body === undefined ? 'GET' : 'POST';
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const asked = request(url, { method, headers, signal, agent: false }, resolve).on('error', reject);
    asked.end(body === undefined ? undefined : JSON.stringify(body));
  });
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new Error(`the answer of ${url} has more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  const { statusCode = 0 } = response;
  if (statusCode < 200 || statusCode > 299)
    throw new Error(`${url} answered with status ${statusCode}: another program may use the port`);
  return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown;
}
