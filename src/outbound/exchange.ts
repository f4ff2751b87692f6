import { once } from 'node:events';
import {
  type IncomingHttpHeaders,
  type IncomingMessage,
  STATUS_CODES,
  request as httpRequest,
} from 'node:http';
import type { Readable } from 'node:stream';
import { raceAbort } from '../core/clock.ts';

export interface OutboundRequest {
  readonly method: 'GET' | 'PUT';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  /** How many redirects are followed; 0 when left out. Only for GET. */
  readonly redirects?: number;
  readonly signal: AbortSignal;
  /** With proxies. */
  readonly env: NodeJS.ProcessEnv;
}

export interface OutboundAnswer {
  readonly status: number;
  /** `404 Not Found`: the standard phrase, not the server's own. */
  readonly statusLine: string;
  readonly headers: IncomingHttpHeaders;
  /** Errors of the connection, and a body that ends too early, arrive here. */
  readonly body: Readable;
}

/** One request to another server, through a proxy when the environment names one. Node's fetch is not used: loading it
 *  delays the start. What `use` leaves of the answer is dropped with the connection.
 *  @throws Error of the network, AbortError, and what `use` throws */
export async function exchange<T>(
  request: OutboundRequest,
  use: (answer: OutboundAnswer) => Promise<T>,
): Promise<T> {
  return raceAbort(follow(request, use), request.signal);
}

async function follow<T>(request: OutboundRequest, use: (answer: OutboundAnswer) => Promise<T>): Promise<T> {
  const proxy = proxyFor(new URL(request.url).protocol, request.env);
  const send = proxy === '' ? direct : proxied;
  const answered = await send(request, proxy, async (answer): Promise<Next | { result: T }> => {
    const next = nextOf(request, answer);
    return next ?? { result: await use(answer) };
  });
  return 'result' in answered ? answered.result : follow({ ...request, ...answered }, use);
}

type Next = Pick<OutboundRequest, 'url' | 'redirects' | 'headers'>;

const redirections = [301, 302, 303, 307, 308];

/** Where a redirect leads; null: the answer is none that is followed. Another server does not get the token, and nothing that was asked
 *  for by TLS is fetched without it. */
function nextOf(request: OutboundRequest, { status, headers }: OutboundAnswer): Next | null {
  const { location } = headers;
  if (!redirections.includes(status) || location === undefined || (request.redirects ?? 0) === 0) return null;
  const [from, to] = [new URL(request.url), new URL(location, request.url)];
  if (to.protocol !== 'https:' && (to.protocol !== 'http:' || from.protocol === 'https:'))
    throw new Error(`the server redirects to ${to.protocol}//${to.host}, which is not followed`);
  const { authorization: _, ...others } = request.headers;
  return {
    url: to.href,
    redirects: (request.redirects ?? 0) - 1,
    headers: to.origin === from.origin ? request.headers : others,
  };
}

type Send = <T>(
  request: OutboundRequest,
  proxy: string,
  use: (answer: OutboundAnswer) => Promise<T>,
) => Promise<T>;

const direct: Send = async ({ method, url, headers, body, signal }, _, use) => {
  const target = new URL(url);
  // Loading TLS takes 20 ms, and most starts need none.
  const send = target.protocol === 'https:' ? (await import('node:https')).request : httpRequest;
  const length = body === undefined ? {} : { 'content-length': String(body.length) };
  const sent = send(target, { method, headers: { ...headers, ...length }, signal, agent: false });
  // After the answer has begun, the answer reports failures. Without this listener they would end the process.
  sent.on('error', () => {});
  sent.end(body);
  try {
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    const status = response.statusCode ?? 0;
    return await use({ status, statusLine: lineOf(status), headers: response.headers, body: response });
  } finally {
    sent.destroy();
  }
};

const proxied: Send = async ({ method, url, headers, body, signal, env }, proxy, use) => {
  const { default: undici } = await import('undici');
  const dispatcher = new undici.EnvHttpProxyAgent({
    httpProxy: proxy,
    httpsProxy: proxy,
    noProxy: read(env, 'NO_PROXY'),
    // A proxy forwards plain requests, and tunnels encrypted ones.
    proxyTunnel: url.startsWith('https:'),
  });
  try {
    const given = body === undefined ? {} : { body };
    const answer = await undici.request(url, { method, headers, signal, dispatcher, ...given });
    const { statusCode: status } = answer;
    return await use({ status, statusLine: lineOf(status), headers: answer.headers, body: answer.body });
  } finally {
    await dispatcher.destroy();
  }
};

/** Empty without a proxy; then the proxy client is not loaded. */
function proxyFor(protocol: string, env: NodeJS.ProcessEnv): string {
  const name = protocol === 'https:' ? 'HTTPS_PROXY' : 'HTTP_PROXY';
  return read(env, name) || read(env, 'ALL_PROXY');
}

const read = (env: NodeJS.ProcessEnv, name: string): string => env[name.toLowerCase()] || env[name] || '';

const lineOf = (status: number): string => `${status} ${STATUS_CODES[status] ?? '<unknown status code>'}`;
