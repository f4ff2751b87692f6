import { monotonicMs } from '../core/clock.ts';
import { type Pauses, backoffMs, retry } from '../core/retry.ts';
import { sqlState } from './client.ts';

/** SQLSTATE of a log-in that was refused because no connection was free. The server answers, so it is full and not down.
 *  Superusers have some connections of their own (`superuser_reserved_connections`). */
export const tooManyConnections = '53300';

export const isFull = (error: unknown): boolean => sqlState(error) === tooManyConnections;

/** Between two attempts to get a connection. */
export const fullPauses: Pauses = { firstMs: 20, maxMs: 500, jitter: [0.5, 1] };

/** Connects, again and again while the server is full.
 *  @param limitMs milliseconds for the attempts to begin; each has its own limit
 *  @throws what the last attempt threw */
export function whenFree<T>(connect: () => Promise<T>, limitMs: number, signal: AbortSignal): Promise<T> {
  const endMs = monotonicMs() + limitMs;
  const retryable = (error: unknown): boolean => isFull(error) && monotonicMs() < endMs;
  const pauseMs = (failures: number): number => backoffMs(failures, fullPauses);
  return retry(connect, { what: 'a free connection', pauseMs, retryable }, signal);
}
