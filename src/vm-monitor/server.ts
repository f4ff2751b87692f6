import type { IncomingMessage } from 'node:http';
import type { WebSocket } from 'ws';
import { explained } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { repeat } from '../core/retry.ts';
import { Answer } from '../http/answer.ts';
import { noAuth } from '../http/auth.ts';
import { endWith } from '../http/broken-request.ts';
import { requestId } from '../http/exchange.ts';
import { type Route, nothing } from '../http/route.ts';
import type { ServerLimits } from '../http/limits.ts';
import { startServer } from '../http/server.ts';
import type { Listening } from './address.ts';
import type { ScalingOptions } from './scaling.ts';
import { Session } from './session.ts';

export interface MonitorOptions extends ScalingOptions {
  readonly listening: Listening;
}

export interface Monitor {
  readonly port: number;
  /** Closes the agent's connection and the server; resolves when both have ended. */
  close(): Promise<void>;
}

const path = '/monitor';
/** Every HTTP answer closes its connection, and idle connections make room for new ones, so that the agent can always
 *  connect. */
const limits: Partial<ServerLimits> = {
  headersMs: 5000,
  requestMs: 5000,
  connections: 32,
  requestsPerConnection: 1,
};
/** Time limit for the agent's answer to the close frame. */
const closeMs = 10_000;
/** The largest message; above it the agent closes the connection, and so does the monitor. */
const maxMessageBytes = 32_768;

const expectUpgrade: Route<null> = {
  method: 'GET',
  path,
  auth: 'none',
  quiet: true,
  summary: 'Answers a request without a WebSocket upgrade with 426.',
  reply: nothing,
  errors: [],
  handler: () =>
    new Answer(426, 'a WebSocket upgrade is expected\n', {
      'content-type': 'text/plain',
      upgrade: 'websocket',
    }),
};

/** Listens for the node's agent. One agent is served at a time: a new connection ends the earlier one.
 *  @throws ComputeError `port` when the address cannot be bound */
export async function startMonitor(options: MonitorOptions): Promise<Monitor> {
  const { metrics, log, listening } = options;
  const { WebSocketServer } = await import('ws');
  const webSockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: maxMessageBytes,
    autoPong: false, // AgentLink answers, and disconnects an agent that does not read.
    handleProtocols: () => false,
  });
  const agents = new Agents(options);
  const server = await startServer({
    program: 'vm-monitor',
    name: 'WebSocket server',
    ...listening,
    routes: [expectUpgrade],
    app: null,
    auth: noAuth,
    limits,
    log,
    upgrade: {
      path,
      take(request, socket, head) {
        const fault = faultOf(request);
        if (fault === null)
          return webSockets.handleUpgrade(request, socket, head, (webSocket) => agents.serve(webSocket));
        const [status, why, ...headers] = fault;
        endWith(socket, status, requestId(request.headers['x-request-id']), why, headers);
      },
    },
  });
  metrics.set('compute_ctl_vm_monitor_listening', 1);
  return {
    port: server.port,
    async close() {
      metrics.set('compute_ctl_vm_monitor_listening', 0);
      const closed = server.close(closeMs);
      await Promise.all([agents.end('the compute is shutting down'), closed]);
    },
  };
}

/** Why a handshake is refused before it can replace another agent; null when it is valid so far. The library checks the
 *  method and the key, and also accepts version 8.
 *  @see https://www.rfc-editor.org/rfc/rfc6455#section-4.2.1 */
function faultOf({ httpVersion, headers }: IncomingMessage): [number, string, ...string[]] | null {
  if (httpVersion !== '1.1') return [400, 'a WebSocket requires HTTP/1.1'];
  if (headers['sec-websocket-version'] !== '13')
    return [426, 'this server speaks version 13 of WebSocket', 'sec-websocket-version: 13'];
  // Any page in a browser could connect here; agents do not send this header.
  return headers.origin === undefined ? null : [403, 'a page in a browser may not connect'];
}

/** The agents' connections. All except the last are ending. */
class Agents {
  readonly #options: MonitorOptions;
  readonly #refusals: Refusals;
  readonly #sessions = new Map<Session, Promise<void>>();
  #current: Session | null = null;

  constructor(options: MonitorOptions) {
    this.#options = options;
    this.#refusals = new Refusals(options.log);
  }

  serve(webSocket: WebSocket): void {
    this.#options.metrics.inc('compute_ctl_vm_monitor_connections_total');
    this.#current?.end('replaced by a new connection');
    const session = new Session(webSocket, this.#options);
    this.#current = session;
    const served = session
      .run()
      .then(() => this.#refusals.forget())
      .catch((error: unknown) => this.#refusals.tell(error))
      .finally(() => this.#sessions.delete(session));
    this.#sessions.set(session, served);
  }

  /** Ends all sessions immediately. Resolves when they have ended. */
  async end(reason: string): Promise<void> {
    for (const session of this.#sessions.keys()) session.cut(reason);
    await Promise.all(this.#sessions.values());
  }
}

/** Runs the monitor until `signal` aborts. If the port cannot be bound, this is logged and retried every `againMs`
 *  milliseconds: without the monitor the compute still works, but it is not scaled. */
export async function runMonitor(
  options: MonitorOptions,
  signal: AbortSignal,
  againMs = 5000,
): Promise<void> {
  const { log } = options;
  const refusals = new Refusals(log);
  const serve = async (): Promise<number> => {
    const monitor = await startMonitor(options);
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve(), { once: true });
    });
    await monitor.close();
    return 0;
  };
  const again = (error: unknown): number => {
    refusals.tell(error);
    return againMs;
  };
  await repeat(serve, signal, again);
}

/** Logs a failure once, not at every repetition: the agent reconnects every five seconds. */
class Refusals {
  readonly #log: Log;
  #last: string | null = null;

  constructor(log: Log) {
    this.#log = log;
  }

  tell(error: unknown): void {
    const text = `vm-monitor: ${explained(error)}`;
    if (text === this.#last) this.#log.debug(text);
    else this.#log.error(text);
    this.#last = text;
  }

  forget(): void {
    this.#last = null;
  }
}
