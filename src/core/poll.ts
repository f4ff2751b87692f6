import { abortedBy, linked } from './abort.ts';
import { alarm, monotonicMs, raceAbort, sleep, tookTooLong } from './clock.ts';

export interface PollTimes {
  /** Milliseconds from the end of one check to the beginning of the next. */
  readonly everyMs: number;
  /** Milliseconds for everything, by the monotonic clock: slow checks count. Infinity where the caller sets the limit. */
  readonly limitMs: number;
}

/** Calls `look` at once and then repeatedly, until it returns something.
 *  @param look null: not yet. Its signal aborts when the time is up; its result is then ignored
 *  @returns what `look` returned; null when the time is up. A `look` that does not wait is called once more at that moment
 *  @throws what `look` throws; the abort of `signal` */
export async function poll<T>(
  look: (signal: AbortSignal) => Promise<T | null> | T | null,
  { everyMs, limitMs }: PollTimes,
  signal: AbortSignal,
): Promise<T | null> {
  signal.throwIfAborted();
  const endMs = monotonicMs() + limitMs;
  const limited = linked(signal);
  const cancel = alarm(limitMs, () => limited.abort());
  try {
    for (;;) {
      const looking = look(limited.signal);
      const found = looking instanceof Promise ? await raceAbort(looking, limited.signal) : looking;
      if (found !== null) return found;
      const leftMs = endMs - monotonicMs();
      if (leftMs <= 0) return null;
      await sleep(Math.min(everyMs, Math.ceil(leftMs)), signal);
    }
  } catch (error) {
    // An abort of its own signal only means that the time is up.
    if (!signal.aborted && abortedBy(error, limited.signal)) return null;
    throw error;
  } finally {
    cancel();
    limited.release();
  }
}

/** Waits until `ready` returns true. @throws ComputeError `deadline` naming `what` when it did not in time */
export async function until(
  what: string,
  ready: (signal: AbortSignal) => Promise<boolean> | boolean,
  times: PollTimes,
  signal: AbortSignal,
): Promise<void> {
  const orNull = (is: boolean): true | null => (is ? true : null);
  const look = (limited: AbortSignal): Promise<true | null> | true | null => {
    const is = ready(limited);
    return typeof is === 'boolean' ? orNull(is) : is.then(orNull);
  };
  if ((await poll(look, times, signal)) === null) throw tookTooLong(what, times.limitMs);
}
