import { setTimeout as timer } from 'node:timers/promises';
import { abortedBy, linked } from './abort.ts';
import { ComputeError } from './errors.ts';

/** Milliseconds that never go back, for durations and deadlines. */
export const monotonicMs = (): number => performance.now();

/** Milliseconds since `startMs` (of `monotonicMs`), whole, for metrics. */
export const elapsedMs = (startMs: number): number => Math.round(monotonicMs() - startMs);

/** The longest time that a Node timer can wait, 24.8 days: beyond it a timer fires at once. */
const longestMs = 2 ** 31 - 1;

/** What is left until a time that has passed is less than nothing, of which Node 24 warns. */
const waitable = (ms: number): number => Math.min(Math.max(ms, 0), longestMs);

/** Resolves after `ms` milliseconds, 24.8 days at most; rejects with AbortError as soon as `signal` aborts. */
export const sleep = async (ms: number, signal: AbortSignal): Promise<void> => {
  await timer(waitable(ms), undefined, { signal });
};

/** Runs `work` with a signal that also aborts after `ms`.
 *  @throws ComputeError `deadline` naming `what` when the time is up, even when `work` then succeeds or fails;
 *  the abort of the outer `signal` unchanged */
export async function withDeadline<T>(
  what: string,
  ms: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const both = linked(signal);
  let late = false;
  const cancel = alarm(ms, () => {
    late = true;
    both.abort();
  });
  try {
    return await raceAbort(work(both.signal), both.signal);
  } catch (error) {
    if (!late || signal.aborted) throw error;
    throw tookTooLong(what, ms, abortedBy(error, both.signal) ? undefined : error);
  } finally {
    cancel();
    both.release();
  }
}

/** The error of every operation with a time limit. @param ms the limit */
export const tookTooLong = (what: string, ms: number, cause?: unknown): ComputeError =>
  new ComputeError('deadline', `${what} took longer than ${ms} ms`, { cause });

/** Calls `late` in `ms` milliseconds, unless the function that it returns is called before.
 *  @param ms Infinity for never */
export function alarm(ms: number, late: () => void): () => void {
  if (ms > longestMs) return () => {};
  const timeout = setTimeout(late, waitable(ms));
  return () => clearTimeout(timeout);
}

/** A signal that aborts after `ms` milliseconds: for a command that nothing else could stop. */
export const timeLimit = (ms: number): AbortSignal => AbortSignal.timeout(ms);

/** Resolves with the value of `promise`; with null when `ms` milliseconds pass first, or `signal` aborts. Rejects as
 *  `promise` does. */
export async function within<T>(promise: Promise<T>, ms: number, signal: AbortSignal): Promise<T | null> {
  const over = linked(signal);
  const none = (): null => null;
  try {
    return await Promise.race([promise, sleep(ms, over.signal).then(none, none)]);
  } finally {
    over.abort();
    over.release();
  }
}

/** Resolves when nothing has happened for `quietMs` milliseconds; rejects with AbortError when `signal` aborts.
 *  @param lastMs returns the time of the last event, from `monotonicMs`; called again before each decision */
export async function untilQuiet(lastMs: () => number, quietMs: number, signal: AbortSignal): Promise<void> {
  const leftMs = (): number => lastMs() + quietMs - monotonicMs();
  for (let left = leftMs(); left > 0; left = leftMs()) await sleep(Math.ceil(left), signal);
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
