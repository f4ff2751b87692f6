import { linked } from '../core/abort.ts';
import { raceAbort, sleep, monotonicMs } from '../core/clock.ts';
import { ComputeError } from '../core/errors.ts';
import { type Pauses, backoffMs } from '../core/retry.ts';
import type { Exit, RunningProcess } from '../process/process.ts';

export interface Kept {
  readonly name: string;
  start(): Promise<RunningProcess>;
  /** Resolves when the child is ready. A ComputeError is the reason of a failed start. */
  ready(child: RunningProcess, signal: AbortSignal): Promise<void>;
  /** Stops the child. */
  stop(child: RunningProcess): Promise<void>;
  onReady(restart: boolean): void;
  /** @param failure why it did not become ready, or could not even be started; null when it had been ready
   *  @param nextMs milliseconds until it is started again */
  onExit(exit: Exit, failure: unknown, nextMs: number): void;
}

/** Number of starts for a child that never became ready. */
const maxFirstStarts = 3;
/** From the second failure in a row. */
const pauses: Pauses = { firstMs: 100, maxMs: 3000 };
/** A child that was ready this long did not fail because of its start. */
const steadyMs = 5000;

/** Keeps one child running until `signal` aborts, and then stops it.
 *  @param wasReady it has been ready before: then it is started again for as long as it takes
 *  @throws what `ready` threw last, when the child never became ready */
export async function keepRunning(kept: Kept, signal: AbortSignal, wasReady = false): Promise<void> {
  let everReady = wasReady;
  let failures = 0;
  while (!signal.aborted) {
    const startedMs = monotonicMs();
    let child: RunningProcess | null = null;
    let failure: unknown = null;
    let ready = false;
    try {
      child = await kept.start();
      failure = await becomesReady(kept, child, signal);
      ready = failure === null;
      if (ready) {
        kept.onReady(everReady);
        everReady = true;
        await raceAbort(child.exited, signal).catch(() => {});
      }
    } catch (error) {
      // A full disk, for instance: once it has worked, it may work again.
      if (!everReady) throw error;
      failure = error;
    } finally {
      // Also for a child that runs but never became ready.
      if (child !== null) await kept.stop(child);
    }
    if (signal.aborted) return;
    failures = ready && monotonicMs() - startedMs > steadyMs ? 1 : failures + 1;
    if (!everReady && failures >= maxFirstStarts) throw failure;
    const nextMs = backoffMs(failures - 1, pauses);
    kept.onExit(child?.exit ?? { code: null, signal: null }, failure, nextMs);
    await sleep(nextMs, signal).catch(() => {});
  }
}

/** Null when the child became ready, else the reason. */
async function becomesReady(kept: Kept, child: RunningProcess, signal: AbortSignal): Promise<unknown> {
  const over = linked(signal);
  const ended = child.exited.then(({ code, signal: by }) => {
    throw new ComputeError(
      'internal',
      `${kept.name} exited during its start (${code === null ? `signal ${by}` : `exit code ${code}`})`,
    );
  });
  try {
    await Promise.race([kept.ready(child, over.signal), ended]);
    return null;
  } catch (error) {
    return error;
  } finally {
    over.abort();
    over.release();
    ended.catch(() => {});
  }
}
