import { setTimeout as timer } from 'node:timers/promises';
import { ComputeError, isAbort } from './errors.ts';

/** Milliseconds that never go back, for durations and deadlines. */
export const monotonicMs = (): number => performance.now();

/** Resolves after `ms` milliseconds; rejects with AbortError as soon as `signal` aborts. */
export const sleep = async (ms: number, signal: AbortSignal): Promise<void> => {
  await timer(ms, undefined, { signal });
};

/** Asks `ready` every `everyMs` milliseconds until it says true. Rejects with AbortError when `signal` aborts. */
export async function until(
  ready: (signal: AbortSignal) => Promise<boolean>,
  everyMs: number,
  signal: AbortSignal,
): Promise<void> {
  while (!(await ready(signal))) await sleep(everyMs, signal);
}

/** Runs `work` with a signal that also aborts after `ms`.
 *  @throws ComputeError `deadline` naming `what` when the time is up, whatever `work` made of the abort;
 *  the abort of the outer `signal` passes through as it is. */
export async function withDeadline<T>(
  what: string,
  ms: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  // Not AbortSignal.any: on Node 20 each call leaves something behind in a signal that lives long.
  const both = new AbortController();
  const stop = (): void => both.abort(signal.reason);
  let late = false;
  const timeout = setTimeout(() => {
    late = true;
    both.abort();
  }, ms);
  if (signal.aborted) stop();
  else signal.addEventListener('abort', stop, { once: true });
  try {
    return await raceAbort(work(both.signal), both.signal);
  } catch (error) {
    if (!late || signal.aborted) throw error;
    const cause = isAbort(error) ? undefined : error;
    throw new ComputeError('deadline', `${what} took longer than ${ms} ms`, { cause });
  } finally {
    clearTimeout(timeout);
    signal.removeEventListener('abort', stop);
  }
}

/** Calls `late` in `ms` milliseconds, unless the function that it returns is called before. */
export function alarm(ms: number, late: () => void): () => void {
  const timeout = setTimeout(late, ms);
  return () => clearTimeout(timeout);
}

/** Settles with `promise`, or rejects with the signal's reason at once when it aborts first. */
export function raceAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}

/** Milliseconds since `startMs` (of `monotonicMs`), whole, for metrics. */
export const elapsedMs = (startMs: number): number => Math.round(monotonicMs() - startMs);
