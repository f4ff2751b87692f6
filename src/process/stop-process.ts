import { never } from '../core/abort.ts';
import { within } from '../core/clock.ts';
import { ComputeError } from '../core/errors.ts';
import type { Exit, RunningProcess } from './process.ts';

export interface StopStep {
  readonly signal: NodeJS.Signals;
  /** How long to wait for the end after this signal, before the next step. */
  readonly graceMs: number;
  /** True: an abort of the caller's signal ends this step's wait, and the next step follows at once. */
  readonly patient?: boolean;
}

/** Asks nicely, then kills: the steps for an ordinary child. */
export const termThenKill = (graceMs: number): StopStep[] => [
  { signal: 'SIGTERM', graceMs, patient: true },
  { signal: 'SIGKILL', graceMs: 5000 },
];

/** Ends a child by one signal after the other and resolves with its exit. An abort of `signal` does not give up on the child,
 *  it only means hurry: patient steps are cut short. A stopped (SIGSTOP) child is continued, so that it can obey.
 *  @param group send the last step to the whole process group
 *  @throws ComputeError `postgres_stuck` when the child outlives all steps (a process in uninterruptible sleep) */
export async function stopProcess(
  child: RunningProcess,
  steps: readonly StopStep[],
  signal: AbortSignal,
  { group = false }: { readonly group?: boolean } = {},
): Promise<Exit> {
  for (const step of steps) {
    child.kill(step.signal, { group: group && step === steps.at(-1) });
    child.kill('SIGCONT');
    const exit = await within(child.exited, step.graceMs, step.patient === true ? signal : never);
    if (exit !== null) return exit;
  }
  const tried = steps.map((step) => step.signal).join(', ');
  throw new ComputeError('postgres_stuck', `${child.name} (pid ${child.pid}) still runs after ${tried}`, {
    hint: 'it is probably waiting for a disk or network file system that does not answer',
  });
}
