import { type IncomingHttpHeaders, request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { pino } from 'pino';
import type { Log } from '../../../src/core/log.ts';
import type { Status } from '../../../src/core/status.ts';
import { createJwtAuth } from '../../../src/http/jwt.ts';
import type { Served } from '../../../src/http/routes/route.ts';
import { externalRoutes } from '../../../src/http/routes/external.ts';
import { type RunningServer, type ServerOptions, startServer } from '../../../src/http/server.ts';
import { Metrics } from '../../../src/metrics/registry.ts';
import { undocumented } from '../../support/openapi.ts';
import { type TestCompute, testCompute } from './compute-for-tests.ts';
import { type Issuer, issuer } from '../../support/tokens.ts';

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface TestServer {
  readonly server: RunningServer;
  readonly port: number;
  readonly app: TestCompute;
  readonly metrics: Metrics;
  readonly keys: Issuer;
  /** A token that opens everything. */
  readonly token: string;
  /** Everything that was logged, at every level. */
  readonly lines: readonly string[];
  /** With the token, unless `headers` name another `authorization` (empty: none). */
  readonly send: (method: string, path: string, options?: SendOptions) => Promise<Reply>;
}

export interface SendOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  readonly signal?: AbortSignal;
}

export function recorder(): { log: Log; lines: string[] } {
  const lines: string[] = [];
  const log = pino({ level: 'trace', base: null }, { write: (line: string) => void lines.push(line) });
  return { log, lines };
}

/** Runs `use` against a real server on a free port, and closes it. */
export async function withServer(
  options: Partial<ServerOptions<Served>> & { readonly at?: Status },
  use: (server: TestServer) => Promise<void>,
): Promise<void> {
  const keys = issuer();
  const { log, lines } = recorder();
  const app = testCompute(options.at ?? 'running', log);
  const metrics = new Metrics();
  const auth = createJwtAuth({ computeId: 'compute-1', jwks: keys.jwks, log });
  const token = await keys.token({ compute_id: 'compute-1' });
  const server = await startServer({
    program: 'compute_ctl',
    name: 'external HTTP server',
    host: '127.0.0.1',
    port: 0,
    routes: externalRoutes,
    app: { compute: app, metrics },
    status: () => app.lifecycle.status,
    auth,
    log,
    signal: new AbortController().signal,
    ...options,
  });
  const send: TestServer['send'] = (method, path, { headers = {}, ...rest } = {}) =>
    exchange(server.port, method, path, {
      headers: { authorization: `Bearer ${token}`, ...headers },
      ...rest,
    });
  try {
    await use({ server, port: server.port, app, metrics, keys, token, lines, send });
  } finally {
    await server.close(0);
  }
}

export function exchange(
  port: number,
  method: string,
  path: string,
  options: SendOptions = {},
): Promise<Reply> {
  const { headers = {}, body, signal } = options;
  const given = Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== ''));
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(
      { host: '127.0.0.1', port, method, path, headers: given, agent: false, ...(signal && { signal }) },
      (incoming) => {
        const chunks: Buffer[] = [];
        incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
        incoming.on('error', reject);
        incoming.on('end', () => {
          const { statusCode: status = 0, headers } = incoming;
          const body = Buffer.concat(chunks).toString();
          const contentType = headers['content-type'] ?? null;
          const found = undocumented({ method, target: path, status, contentType, body });
          if (found.length > 0) reject(new Error(found.join('\n')));
          else resolve({ status, headers, body });
        });
      },
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

export const postJson = (body: string | Buffer): SendOptions => ({
  headers: { 'content-type': 'application/json' },
  body,
});

/** Writes bytes as they are and resolves with everything that came back until the connection was closed. */
export function raw(
  port: number,
  write: string | Buffer | ((chunk: (text: string) => void) => void),
): Promise<string> {
  return new Promise((resolve) => {
    let received = '';
    const socket = connect(port, '127.0.0.1', () => {
      if (typeof write === 'function') write((text) => void socket.write(text));
      else socket.write(write);
    });
    socket.setEncoding('latin1').on('data', (text: string) => (received += text));
    // A reset counts as closed; what came before it is what matters.
    socket.on('error', () => {}).on('close', () => resolve(received));
  });
}
