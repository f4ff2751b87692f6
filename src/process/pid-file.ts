import { readFileSync, rmSync } from 'node:fs';
import { endProcess, termThenKill } from './end.ts';
import { writeDurable } from './files.ts';
import { type ProcessIdentity, identify, isAlive } from './identity.ts';

/** Writes a process's identity to a file, so that a later run can find and end it. False when it has already ended. */
export function writePidFile(path: string, pid: number): boolean {
  const identity = identify(pid);
  if (identity === null) return false;
  writeDurable(path, `${JSON.stringify(identity)}\n`, { mode: 0o644 });
  return true;
}

/** The process of a pid file; null when it has ended, or the file is missing or damaged. */
export function readPidFile(path: string): ProcessIdentity | null {
  try {
    const { pid, started } = JSON.parse(readFileSync(path, 'utf8')) as Partial<ProcessIdentity>;
    if (typeof pid !== 'number' || typeof started !== 'string') return null;
    return isAlive({ pid, started }) ? { pid, started } : null;
  } catch {
    return null;
  }
}

/** Ends the process of a pid file, if it still runs, and removes the file. True when there was one.
 *  @param graceMs milliseconds between SIGTERM and SIGKILL
 *  @throws ComputeError `process_stuck`; AbortError */
export async function endByPidFile(
  path: string,
  what: string,
  graceMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  const one = readPidFile(path);
  if (one !== null) await endProcess(one, what, termThenKill(graceMs, killMs), signal);
  rmSync(path, { force: true });
  return one !== null;
}

const killMs = 10_000;
