import { readFileSync } from 'node:fs';
import { commandLine, processIds, readStat } from './proc.ts';
import { sendSignal } from './signal.ts';

/** A process that cannot be mistaken for a later one with the same pid: the only way to name a process that is not our
 *  child. */
export interface ProcessIdentity {
  readonly pid: number;
  /** The start time in clock ticks, and the boot that they count from: pid files survive a reboot, but pids and ticks
   *  start again. */
  readonly started: string;
}

/** Null when there is no such process, or only its exit code is left (zombie). */
export function identify(pid: number): ProcessIdentity | null {
  const stat = readStat(pid);
  return stat === null ? null : { pid, started: `${bootId()}:${stat.startTicks}` };
}

export const isAlive = (one: ProcessIdentity): boolean => identify(one.pid)?.started === one.started;

/** Sends a signal, if the pid is still that of the same process. False when the process has ended.
 *  @throws the system's error when the signal is not allowed */
export const signalProcess = (one: ProcessIdentity, signal: NodeJS.Signals): boolean =>
  isAlive(one) && sendSignal(one.pid, signal);

/** Every process whose command line satisfies `matches`, except this one. */
export function findProcesses(matches: (commandLine: string) => boolean): ProcessIdentity[] {
  return processIds()
    .filter((pid) => pid !== process.pid && matches(commandLine(pid)))
    .map(identify)
    .filter((found) => found !== null);
}

let boot: string | null = null;

/** The same text until the next reboot; `unknown` where the kernel has no such file, as in some sandboxes. */
export function bootId(): string {
  try {
    boot ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    boot = 'unknown';
  }
  return boot;
}
