import { type IncomingMessage, type RequestListener, type Server, createServer } from 'node:http';
import type { Socket } from 'node:net';

/** Limits against slow, idle and flooding clients. */
export interface ServerLimits {
  /** Milliseconds from the connection, or from the previous answer, to the end of the head. */
  readonly headersMs: number;
  /** Milliseconds for the whole request, body included. */
  readonly requestMs: number;
  /** Milliseconds a connection may be idle between two requests. */
  readonly idleMs: number;
  /** Milliseconds that a client may take nothing of an answer that waits for it. */
  readonly unreadMs: number;
  /** How often the limits above are checked, in milliseconds. */
  readonly checkMs: number;
  readonly connections: number;
  /** One connection more than that is refused, or closes one that has not sent a request yet: the oldest of the address that
   *  has most of them. So idle connections cannot keep a client out. */
  readonly whenFull: 'refuse' | 'close-idle';
  /** Number of requests after which a connection is closed; 0: never. */
  readonly requestsPerConnection: number;
}

export const defaultLimits: ServerLimits = {
  headersMs: 10_000,
  requestMs: 30_000,
  idleMs: 65_000,
  unreadMs: 60_000,
  checkMs: 1000,
  connections: 2000,
  whenFull: 'refuse',
  requestsPerConnection: 0,
};

/** Requests of one connection that wait for their turn before no more is read from it. What was read by then, 64 KiB at
 *  most, may hold more of them. */
export const mostWaiting = 16;

/** Bytes of all answers that wait for their clients. A single one may be larger. */
export const keptLimitBytes = 64 * 1024 * 1024;

const maxHeaderBytes = 16_384;
const maxHeaders = 100;

/** A server of Node that keeps these limits. */
export function createLimited(limits: ServerLimits, listener: RequestListener): Server {
  const server = createServer(
    {
      headersTimeout: limits.headersMs,
      requestTimeout: limits.requestMs,
      keepAliveTimeout: limits.idleMs,
      connectionsCheckingInterval: limits.checkMs,
      maxHeaderSize: maxHeaderBytes,
    },
    listener,
  );
  server.maxHeadersCount = maxHeaders;
  if (limits.whenFull === 'refuse') server.maxConnections = limits.connections;
  else closeIdleAbove(server, limits.connections);
  server.maxRequestsPerSocket = limits.requestsPerConnection;
  // An idle connection is closed then, and one whose answer waits for the client: see `inTurn`.
  server.timeout = limits.unreadMs;
  return server;
}

function closeIdleAbove(server: Server, most: number): void {
  const idle = new Set<Socket>();
  const busy = ({ socket }: IncomingMessage): void => void idle.delete(socket);
  server.on('request', busy).on('upgrade', busy);
  server.on('connection', (socket) => {
    idle.add(socket);
    socket.once('close', () => idle.delete(socket));
    if (idle.size > most) oldestOfTheMost(idle)?.destroy();
  });
}

/** The oldest connection of the address that has most of them. */
function oldestOfTheMost(sockets: ReadonlySet<Socket>): Socket | undefined {
  const byAddress = new Map<string, Socket[]>();
  for (const socket of sockets) {
    const address = socket.remoteAddress ?? '';
    byAddress.set(address, [...(byAddress.get(address) ?? []), socket]);
  }
  const [most] = [...byAddress.values()].toSorted((a, b) => b.length - a.length);
  return most?.[0];
}
