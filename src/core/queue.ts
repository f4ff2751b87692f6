import { isAbort } from './errors.ts';

/** Works through `jobs` in order, up to `width` at a time. The first failure cancels what is under way, everything is
 *  awaited, and every job that failed on its own account is reported.
 *  @throws AggregateError with the failures; the reason of `signal` when that was what ended it */
export async function inLanes<T>(
  jobs: readonly T[],
  width: number,
  signal: AbortSignal,
  work: (job: T, lane: number, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const siblings = new AbortController();
  const both = AbortSignal.any([signal, siblings.signal]);
  const failures: unknown[] = [];
  let next = 0;
  const lane = async (number: number): Promise<void> => {
    while (next < jobs.length && !both.aborted) {
      const job = jobs[next++] as T;
      try {
        await work(job, number, both);
      } catch (error) {
        if (!(both.aborted && isAbort(error))) failures.push(error);
        siblings.abort();
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(Math.max(1, width), jobs.length) }, (_, at) => lane(at)));
  signal.throwIfAborted();
  if (failures.length > 0) throw new AggregateError(failures, '');
}
