import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { ComputeError, inline } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { repeat } from '../core/retry.ts';
import type { Listening } from './address.ts';
import type { ScalingOptions } from './scaling.ts';
import { Session } from './session.ts';

export interface MonitorOptions extends ScalingOptions {
  readonly listening: Listening;
}

export interface Monitor {
  readonly port: number;
  /** Ends the agent's connection, and resolves when nothing is left of it. */
  close(): Promise<void>;
}

const path = '/monitor';
const headersMs = 5000;
const maxSockets = 32;
/** The agent breaks off above this size; so does the monitor. */
const maxMessageBytes = 32_768;

/** Listens for the agent of the node. One agent is served at a time: a new connection ends the one before it.
 *  @throws ComputeError `port` when the address cannot be bound */
export async function startMonitor(options: MonitorOptions): Promise<Monitor> {
  const { metrics, log, listening } = options;
  const { WebSocketServer } = await import('ws');
  const upgrades = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: maxMessageBytes,
  });
  const http = createServer({ headersTimeout: headersMs, requestTimeout: headersMs }, (request, response) => {
    const known = pathOf(request.url) === path;
    response.writeHead(known ? 426 : 404, {
      connection: 'close',
      ...(known ? { upgrade: 'websocket' } : {}),
    });
    response.end(known ? 'a WebSocket upgrade is expected\n' : 'not found\n');
  });
  http.maxConnections = maxSockets;
  const sessions = new Set<Promise<void>>();
  const refusals = new Refusals(log);
  let current: Session | null = null;

  http.on('upgrade', (request, socket, head) => {
    if (pathOf(request.url) !== path) return notFound(socket);
    upgrades.handleUpgrade(request, socket, head, (webSocket) => {
      metrics.inc('compute_ctl_vm_monitor_connections_total');
      current?.end('replaced by a new connection');
      const session = new Session(webSocket, options);
      current = session;
      const served = session
        .run()
        .then(() => refusals.forget())
        .catch((error: unknown) => refusals.tell(error))
        .finally(() => sessions.delete(served));
      sessions.add(served);
    });
  });
  await listen(http, listening);
  const { port } = http.address() as AddressInfo;
  metrics.set('compute_ctl_vm_monitor_listening', 1);
  log.info(`vm-monitor listens on ${listening.host} port ${port}`);
  return {
    port,
    async close() {
      metrics.set('compute_ctl_vm_monitor_listening', 0);
      const closed = new Promise<void>((resolve) => http.close(() => resolve()));
      current?.end('the compute is shutting down');
      await Promise.all(sessions);
      http.closeAllConnections();
      await closed;
    },
  };
}

/** Runs the monitor until `signal` aborts. A port that cannot be bound is logged and tried again every `againMs`
 *  milliseconds: without the monitor the compute still serves, it only is not scaled. */
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

/** Reports a failure once, not each time it comes again: the agent comes back every five seconds. */
class Refusals {
  readonly #log: Log;
  #last: string | null = null;

  constructor(log: Log) {
    this.#log = log;
  }

  tell(error: unknown): void {
    const text = `vm-monitor: ${inline(error)}`;
    if (text === this.#last) this.#log.debug(text);
    else this.#log.error(text);
    this.#last = text;
  }

  forget(): void {
    this.#last = null;
  }
}

const pathOf = (url: string | undefined): string => (url ?? '').split('?')[0] ?? '';

function notFound(socket: Duplex): void {
  socket.on('error', () => {});
  socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
}

function listen(server: Server, { host, port }: Listening): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why = error.code ?? error.message;
      reject(new ComputeError('port', `cannot listen on ${host} port ${port}: ${why}`));
    });
    server.listen(port, host, () => {
      server.removeAllListeners('error').on('error', () => {});
      resolve();
    });
  });
}
