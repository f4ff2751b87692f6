import { once } from 'node:events';
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { Log } from '../../core/log.ts';
import type { Secret } from '../../core/secret.ts';
import { isToken } from './token.ts';

export interface ControlPlaneOptions {
  readonly token: Secret;
  /** The whole answer of the spec request: spec, status and keys. Null for a compute that is not ours. */
  readonly spec: (computeId: string) => unknown;
  /** What `compute-local status` shows of the storage. */
  readonly status: () => unknown;
  readonly log: Log;
}

const requestMs = 10_000;

const specPath = /^\/compute\/api\/v2\/computes\/([^/]+)\/spec$/;

/** The control plane of the computes on one storage: hands out their specs. */
export function controlPlane(options: ControlPlaneOptions): Server {
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const path = (request.url ?? '').split('?')[0];
    const id = specPath.exec(path ?? '')?.[1];
    const found = id === undefined ? null : options.spec(decodeURIComponent(id));
    const source = path === '/status' ? options.status : found === null ? null : () => found;
    const token = /^bearer +(.+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? '';
    if (!isToken(token, options.token)) send(response, 401, { error: 'the bearer token is wrong' });
    else if (source === null) send(response, 404, { error: `there is no ${path}` });
    else if (request.method !== 'GET') send(response, 405, { error: 'only GET is allowed' });
    else send(response, 200, source());
  };
  return createServer({ requestTimeout: requestMs, keepAliveTimeout: 1000 }, (request, response) => {
    try {
      answer(request, response);
    } catch (error) {
      options.log.error({ err: error }, 'a request to the control plane failed');
      send(response, 500, { error: 'internal error' });
    }
  });
}

function send(response: ServerResponse, code: number, body: unknown): void {
  const text = JSON.stringify(body);
  response.writeHead(code, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

/** Stops listening and cuts every connection. */
export async function closeHttp(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}
