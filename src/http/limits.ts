import { type RequestListener, type Server, createServer } from 'node:http';
import { openFilesLimit } from '../process/proc.ts';
import { limitConnections } from './connections.ts';

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
  /** One connection more closes another: see `limitConnections`. At most a quarter of the files that this process may have
   *  open, so that it can still open those that it needs. */
  readonly connections: number;
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
  requestsPerConnection: 0,
};

/** Requests of one connection that wait for their turn before no more is read from it. What was read by then, 64 KiB at
 *  most, may hold more of them. */
export const mostWaiting = 16;

/** Bytes of all answers that wait for their clients. A single one may be larger. */
export const keptLimitBytes = 64 * 1024 * 1024;

const maxHeaderBytes = 16_384;

/** A server of Node that keeps these limits.
 *  @param canUpgrade whether it also speaks another protocol */
export function createLimited(limits: ServerLimits, listener: RequestListener, canUpgrade: boolean): Server {
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
  // `readTarget` counts them: above this limit Node leaves headers out in silence or ends the connection, by its version.
  server.maxHeadersCount = 0;
  limitConnections(server, Math.min(limits.connections, Math.floor(openFilesLimit() / 4)), canUpgrade);
  server.maxRequestsPerSocket = limits.requestsPerConnection;
  // An idle connection is closed then, and one whose answer waits for the client: see `inTurn`.
  server.timeout = limits.unreadMs;
  return server;
}
