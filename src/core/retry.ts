import { abortedBy, linked } from './abort.ts';
import { alarm, monotonicMs, sleep, tookTooLong } from './clock.ts';
import type { RetryTrack } from './retries.ts';

export interface Pauses {
  /** Milliseconds after the first failure. */
  readonly firstMs: number;
  /** Factor from each pause to the next. Default 2. */
  readonly factor?: number;
  /** Longest pause in milliseconds, before the random factor. Default: no limit. */
  readonly maxMs?: number;
  /** The pause is multiplied by a random factor between these two, so that many computes do not retry at the same
   *  moment. Default: no random factor. */
  readonly jitter?: readonly [from: number, to: number];
}

/** Whole milliseconds to wait after failure number `failures`, counted from 1; 0 before the first.
 *  @param random from 0 to 1, as Math.random */
export function backoffMs(failures: number, pauses: Pauses, random: () => number = Math.random): number {
  if (failures < 1) return 0;
  const { firstMs, factor = 2, maxMs = Infinity, jitter: [from, to] = [1, 1] } = pauses;
  return Math.trunc(Math.min(maxMs, firstMs * factor ** (failures - 1)) * (from + random() * (to - from)));
}

export interface RetryOptions {
  /** Names the work in the error when the total time is up. */
  readonly what: string;
  /** Milliseconds before the next attempt, after failure number `failures`, counted from 1. */
  readonly pauseMs: (failures: number) => number;
  /** Including the first one. Default: no limit. */
  readonly attempts?: number;
  /** Milliseconds for all attempts and pauses together, by the monotonic clock. A pause that would end later does not
   *  begin. Default: no limit. */
  readonly totalMs?: number;
  /** Whether another attempt may succeed after this error. Default: always. */
  readonly retryable?: (error: unknown) => boolean;
  readonly onRetry?: (retry: Retry) => void;
  /** Shows the attempts in `/status`. */
  readonly track?: RetryTrack | undefined;
}

export interface Retry {
  /** The number of the attempt that failed, counted from 1. */
  readonly attempt: number;
  readonly error: unknown;
  /** Until the next attempt. */
  readonly pauseMs: number;
}

/** Tries `work` until it succeeds or its error is not retryable. Attempts never overlap: each is awaited to its end.
 *  @param work its signal aborts, with the error below as the reason, when the total time is up
 *  @throws what the last attempt threw; ComputeError `deadline` when the total time cut it short; the abort of `signal` */
export async function retry<T>(
  work: (signal: AbortSignal, attempt: number) => Promise<T>,
  {
    what,
    pauseMs,
    attempts = Infinity,
    totalMs = Infinity,
    retryable = () => true,
    onRetry,
    track,
  }: RetryOptions,
  signal: AbortSignal,
): Promise<T> {
  const endMs = monotonicMs() + totalMs;
  const limited = linked(signal);
  const cancel = alarm(totalMs, () => limited.abort(tookTooLong(what, totalMs)));
  track?.begin({ attempts, totalMs });
  try {
    for (let attempt = 1; ; attempt++) {
      signal.throwIfAborted();
      try {
        return await work(limited.signal, attempt);
      } catch (error) {
        signal.throwIfAborted();
        if (abortedBy(error, limited.signal)) throw limited.signal.reason;
        const ms = pauseMs(attempt);
        if (attempt >= attempts || !retryable(error) || monotonicMs() + ms > endMs) throw error;
        onRetry?.({ attempt, error, pauseMs: ms });
        track?.failed({ attempt, error, pauseMs: ms });
        if (ms > 0) await sleep(ms, signal);
      }
    }
  } finally {
    cancel();
    limited.release();
    track?.end();
  }
}

/** Repeats `work` until `signal` aborts. What `work` throws after the abort is ignored.
 *  @param work returns the milliseconds to wait before its next run
 *  @param onError returns them after a failure. Without it a failure is a bug, and ends the loop
 *  @throws what `onError` throws; never the abort */
export async function repeat(
  work: (signal: AbortSignal) => Promise<number>,
  signal: AbortSignal,
  onError?: (error: unknown) => number,
): Promise<void> {
  while (!signal.aborted) {
    let pauseMs: number;
    try {
      pauseMs = await work(signal);
    } catch (error) {
      if (signal.aborted) return;
      if (onError === undefined) throw error;
      pauseMs = onError(error);
    }
    await sleep(pauseMs, signal).catch(() => {});
  }
}
