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

/** SIGTERM first, then SIGKILL: the steps for an ordinary process. Both limits in milliseconds. */
export const termThenKill = (graceMs: number, killMs = 5000): EndStep[] => [
  { signal: 'SIGTERM', graceMs, patient: true },
  { signal: 'SIGKILL', graceMs: killMs },
];

/** One or more processes to end. */
interface Endable {
  /** Sends the step's signal, and SIGCONT, since a stopped process must run to handle it. Called at each check; each
   *  process gets the signal once per step. */
  send(step: EndStep): void;
  gone(): boolean;
  /** Resolves after `ms` milliseconds, or earlier if a new check is useful. */
  pause(ms: number, step: EndStep): Promise<unknown>;
  /** True: the next step follows at once. */
  cutShort(step: EndStep): boolean;
}

/** Runs the steps in order, each until its deadline. True when no process is left. */
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
  'the process probably waits for a disk or network file system, or belongs to another user: look at it with ps -fp';

export interface EndChildOptions {
  /** Sends the last step to the whole process group. Default false. */
  readonly group?: boolean;
  /** Error code for a child that does not end. Default `process_stuck`. */
  readonly stuck?: ErrorCode;
}

/** Ends a child and resolves with its exit. An abort of `signal` does not stop this: it only shortens patient steps.
 *  @throws ComputeError `process_stuck` when the child still runs after all steps (uninterruptible sleep) */
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
  /** The signal that a process gets in a step; null: none in this step. Default: the step's signal. */
  readonly signalFor?: (process: T, step: EndStep) => NodeJS.Signals | null;
  /** Called in each step before its signals are sent, with the processes that are left. */
  readonly onStep?: (step: EndStep, left: readonly T[]) => void;
}

/** Ends processes that are not our children, including those that appear meanwhile.
 *  @param find called again whenever the known ones have ended
 *  @returns those that still run after all steps
 *  @throws the system's error when a signal is not allowed; AbortError: then no more signals are sent */
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
 *  @throws ComputeError `process_stuck` when it still runs after all steps; AbortError */
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
