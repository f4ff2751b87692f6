import type { IncomingMessage } from 'node:http';

const maxBytes = 1024 * 1024;

export interface JsonAnswer {
  readonly status: number;
  readonly text: string;
}

/** Asks for JSON, of 1 MiB at most: another program may have taken the port of ours. Not by `fetch`, which takes a short command 35 ms
 *  to load. Redirects are not followed.
 *  @throws the system's error when there is no connection */
export async function limitedAnswer(
  url: string,
  token: string,
  signal: AbortSignal,
  { method, body }: { readonly method: 'GET' | 'POST'; readonly body?: unknown },
): Promise<JsonAnswer> {
  const { request } = await import('node:http');
  const headers = {
    authorization: `Bearer ${token}`,
    ...(body === undefined ? {} : { 'content-type': 'application/json' }),
  };
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
  return { status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') };
}

export const isSuccess = ({ status }: JsonAnswer): boolean => status >= 200 && status <= 299;

/** The same for what succeeds.
 *  @param body is posted as JSON; nothing: a GET
 *  @throws Error for every status but 2xx, and the system's when there is no connection */
export async function getLimitedJson(
  url: string,
  token: string,
  signal: AbortSignal,
  body?: unknown,
): Promise<unknown> {
  const given = body === undefined ? { method: 'GET' as const } : { method: 'POST' as const, body };
  const answer = await limitedAnswer(url, token, signal, given);
  if (!isSuccess(answer))
    throw new Error(`${url} answered with status ${answer.status}: another program may use the port`);
  return JSON.parse(answer.text) as unknown;
}
