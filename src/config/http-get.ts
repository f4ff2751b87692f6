import { once } from 'node:events';
import { type IncomingMessage, STATUS_CODES, request as httpRequest } from 'node:http';
import type { Readable } from 'node:stream';
import { raceAbort } from '../core/clock.ts';

export interface HttpAnswer {
  readonly status: number;
  /** `404 Not Found`: the standard phrase, not the server's own. */
  readonly statusLine: string;
  readonly body: string;
}

export interface HttpGet {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** A longer body is an error. */
  readonly maxBytes: number;
  readonly signal: AbortSignal;
  readonly env: NodeJS.ProcessEnv;
}

/** One GET, through a proxy when the environment names one. Node's fetch is not used: loading it delays the start.
 *  @throws Error of the network, or AbortError */
export async function httpGet(get: HttpGet): Promise<HttpAnswer> {
  const proxy = proxyFor(new URL(get.url).protocol, get.env);
  return raceAbort(proxy === '' ? direct(get) : proxied(get, proxy), get.signal);
}

async function direct(get: HttpGet): Promise<HttpAnswer> {
  const url = new URL(get.url);
  // Loading TLS takes 20 ms, and most starts need none.
  const request = url.protocol === 'https:' ? (await import('node:https')).request : httpRequest;
  const sent = request(url, { headers: get.headers, signal: get.signal, agent: false });
  // After the answer has begun, the answer reports failures. Without this listener they would end the process.
  sent.on('error', () => {});
  sent.end();
  try {
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    const status = response.statusCode ?? 0;
    return {
      status,
      statusLine: lineOf(status),
      body: await collect(response, get.maxBytes, Number(response.headers['content-length'] ?? 0)),
    };
  } finally {
    sent.destroy();
  }
}

/** Empty without a proxy; then the proxy client is not loaded. */
function proxyFor(protocol: string, env: NodeJS.ProcessEnv): string {
  const name = protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  return read(env, name) || read(env, 'ALL_PROXY');
}

const read = (env: NodeJS.ProcessEnv, name: string): string => env[name.toLowerCase()] || env[name] || '';

async function proxied(get: HttpGet, proxy: string): Promise<HttpAnswer> {
  const { default: undici } = await import('undici');
  const noProxy = read(get.env, 'NO_PROXY');
  // A proxy forwards plain requests, and tunnels encrypted ones.
  const proxyTunnel = get.url.startsWith('https:');
  const dispatcher = new undici.EnvHttpProxyAgent({
    httpProxy: proxy,
    httpsProxy: proxy,
    noProxy,
    proxyTunnel,
  });
  try {
    const answer = await undici.request(get.url, { headers: get.headers, signal: get.signal, dispatcher });
    const body = await collect(answer.body, get.maxBytes);
    return { status: answer.statusCode, statusLine: lineOf(answer.statusCode), body };
  } finally {
    await dispatcher.destroy();
  }
}

const lineOf = (status: number): string => `${status} ${STATUS_CODES[status] ?? '<unknown status code>'}`;

async function collect(stream: Readable, maxBytes: number, announced = 0): Promise<string> {
  if (announced > maxBytes) throw tooLong(maxBytes);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) throw tooLong(maxBytes);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

const tooLong = (maxBytes: number): Error => new Error(`the body of the answer exceeds ${maxBytes} bytes`);
