import { never } from '../core/abort.ts';
import { monotonicMs, sleep, within } from '../core/clock.ts';
import { ComputeError, type ErrorCode } from '../core/errors.ts';
import { type ProcessIdentity, isAlive, signalProcess } from './identity.ts';
import type { Exit, RunningProcess } from './process.ts';

export interface EndStep {
  readonly signal: NodeJS.Signals;
  /** Milliseconds to wait for the end after this signal, before the next step. */
  readonly graceMs: number;
  /** For a child. True: an abort of the caller's signal ends this step's wait, and the next step follows at once. */
  readonly patient?: boolean;
}

/** Asks first, then kills: the steps for an ordinary process. Both limits in milliseconds. */
export const termThenKill = (graceMs: number, killMs = 5000): EndStep[] => [
  { signal: 'SIGTERM', graceMs, patient: true },
  { signal: 'SIGKILL', graceMs: killMs },
];

/** What can be ended, however its end is noticed. */
interface Endable {
  /** Sends a signal, and SIGCONT, so that a stopped process can obey. At each look anew: once to each process. */
  send(step: EndStep): void;
  gone(): boolean;
  /** Resolves after `ms` milliseconds, earlier when there is reason to look again. */
  pause(ms: number, step: EndStep): Promise<unknown>;
  /** True when the rest of this step is not worth waiting for. */
  cutShort(step: EndStep): boolean;
}

/** Takes one step after the other, each until its deadline. True when nothing is left. */
async function endBySteps(what: Endable, steps: readonly EndStep[]): Promise<boolean> {
  for (const step of steps) {
    const untilMs = monotonicMs() + step.graceMs;
    for (;;) {
      what.send(step);
      if (what.gone()) return true;
      const leftMs = untilMs - monotonicMs();
      if (leftMs <= 0 || what.cutShort(step)) break;
      await what.pause(leftMs, step);
    }
  }
  return what.gone();
}

const hint =
  'it waits for a disk or network file system that does not answer, or it belongs to another user; look at it with ps -fp';

export interface EndChildOptions {
  /** Sends the last step to the whole process group. Default false. */
  readonly group?: boolean;
  /** Code of the error when it does not end. Default `process_stuck`. */
  readonly stuck?: ErrorCode;
}

/** Ends a child and resolves with its exit. An abort of `signal` does not give up on the child: it cuts patient steps short.
 *  @throws ComputeError `process_stuck` when the child outlives all steps (a process in uninterruptible sleep) */
export async function endChild(
  child: RunningProcess,
  steps: readonly EndStep[],
  signal: AbortSignal,
  { group = false, stuck = 'process_stuck' }: EndChildOptions = {},
): Promise<Exit> {
  let sent: EndStep | null = null;
  const escalated = (step: EndStep): boolean => step.patient === true && signal.aborted;
  await endBySteps(
    {
      send(step) {
        if (sent === step) return;
        sent = step;
        child.kill(step.signal, { group: group && step === steps.at(-1) });
        child.kill('SIGCONT');
      },
      gone: () => child.exit !== null,
      cutShort: escalated,
      pause: (ms, step) => within(child.exited, ms, step.patient === true ? signal : never),
    },
    steps,
  );
  if (child.exit !== null) return child.exit;
  const tried = steps.map((step) => step.signal).join(', ');
  throw new ComputeError(stuck, `${child.name} (pid ${child.pid}) still runs after ${tried}`, { hint });
}

const pollMs = 10;

export interface EndAllOptions<T extends ProcessIdentity> {
  /** Which signal a process gets in a step; null: none in this step. Default: that of the step. */
  readonly signalFor?: (process: T, step: EndStep) => NodeJS.Signals | null;
  /** Hears of each step before its signals are sent, with the processes that are left. */
  readonly onStep?: (step: EndStep, left: readonly T[]) => void;
}

/** Ends processes that are not our children, those included that appear meanwhile.
 *  @param find asked again whenever the known ones are gone
 *  @returns those that outlive all steps
 *  @throws the system's error when a signal is not allowed; AbortError: nothing more is sent then */
export async function endAll<T extends ProcessIdentity>(
  find: () => readonly T[],
  steps: readonly EndStep[],
  signal: AbortSignal,
  { signalFor = (_, step) => step.signal, onStep = () => {} }: EndAllOptions<T> = {},
): Promise<readonly T[]> {
  let left: readonly T[] = [];
  let step: EndStep | null = null;
  let sent = new Set<string>();
  await endBySteps(
    {
      send(next) {
        const isNew = step !== next;
        left = !isNew && left.some(isAlive) ? left.filter(isAlive) : find();
        if (left.length === 0) return;
        if (isNew) {
          step = next;
          sent = new Set();
          onStep(next, left);
        }
        for (const one of left) {
          const id = `${one.pid} ${one.started}`;
          if (sent.has(id)) continue;
          sent.add(id);
          const name = signalFor(one, next);
          if (name !== null) signalProcess(one, name);
          signalProcess(one, 'SIGCONT');
        }
      },
      gone: () => left.length === 0,
      cutShort: () => false,
      pause: (ms) => sleep(Math.min(ms, pollMs), signal),
    },
    steps,
  );
  return left;
}

/** Ends one process that is not our child. Resolves when it is gone.
 *  @param what names it in the error
 *  @throws ComputeError `process_stuck` when it outlives all steps; AbortError */
export async function endProcess(
  one: ProcessIdentity,
  what: string,
  steps: readonly EndStep[],
  signal: AbortSignal,
): Promise<void> {
  const left = await endAll(() => [one].filter(isAlive), steps, signal);
  if (left.length === 0) return;
  const tried = steps.map((step) => step.signal).join(', ');
  throw new ComputeError('process_stuck', `${what} (pid ${one.pid}) still runs after ${tried}`, { hint });
}
