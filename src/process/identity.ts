import { readFileSync, rmSync } from 'node:fs';
import { ComputeError } from '../core/errors.ts';
import { poll } from '../core/poll.ts';
import { commandLine, processIds, readStat } from './proc.ts';
import { sendSignal } from './process.ts';
import { writeDurable } from './durable.ts';

/** A process that cannot be mistaken for a later one with the same pid. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Start in clock ticks, and the boot they count from: files outlive a reboot, pids and ticks begin anew. */
  readonly started: string;
}

/** Null when there is no such process, or it only waits to be reaped. */
export function identify(pid: number): ProcessIdentity | null {
  const stat = readStat(pid);
  if (stat === null) return null;
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  return { pid, started: `${boot}:${stat.startTicks}` };
}

export const isAlive = (one: ProcessIdentity): boolean => identify(one.pid)?.started === one.started;

/** Remembers a process in a file, so that a later run can find and end it. False when it is gone already. */
export function writePidFile(path: string, pid: number): boolean {
  const identity = identify(pid);
  if (identity === null) return false;
  writeDurable(path, `${JSON.stringify(identity)}\n`, 0o644);
  return true;
}

/** The process of a pid file, null when it does not run any more or the file is missing or damaged. */
export function readPidFile(path: string): ProcessIdentity | null {
  try {
    const { pid, started } = JSON.parse(readFileSync(path, 'utf8')) as Partial<ProcessIdentity>;
    if (typeof pid !== 'number' || typeof started !== 'string') return null;
    return isAlive({ pid, started }) ? { pid, started } : null;
  } catch {
    return null;
  }
}

/** Ends a process that is not our child: SIGTERM, and SIGKILL after `graceMs`. Resolves when it is gone.
 *  @throws ComputeError `postgres_stuck` when it outlives SIGKILL by 10 seconds; AbortError */
export async function endProcess(
  one: ProcessIdentity,
  what: string,
  graceMs: number,
  signal: AbortSignal,
): Promise<void> {
  for (const [name, limitMs] of [
    ['SIGTERM', graceMs],
    ['SIGKILL', 10_000],
  ] as const) {
    if (!isAlive(one)) return;
    sendSignal(one.pid, name);
    sendSignal(one.pid, 'SIGCONT');
    const gone = await poll(() => (isAlive(one) ? null : true), { everyMs: 10, limitMs }, signal);
    if (gone !== null) return;
  }
  throw new ComputeError('postgres_stuck', `${what} (pid ${one.pid}) does not end, not even after SIGKILL`);
}

/** Ends the process of a pid file, if it still runs, and removes the file. True when there was one. */
export async function endByPidFile(
  path: string,
  what: string,
  graceMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  const one = readPidFile(path);
  if (one !== null) await endProcess(one, what, graceMs, signal);
  rmSync(path, { force: true });
  return one !== null;
}

/** Every process whose command line satisfies `matches`, except this one. */
export function findProcesses(matches: (commandLine: string) => boolean): ProcessIdentity[] {
  return processIds()
    .filter((pid) => pid !== process.pid && matches(commandLine(pid)))
    .map(identify)
    .filter((found) => found !== null);
}
