import { identify } from '../../process/identity.ts';
import { readStat, startedAtSeconds } from '../../process/proc.ts';
import { readPidFile } from '../../process/pid-file.ts';
import { findPostgresOf } from '../../postgres/pgdata-processes.ts';
import { readPostmasterPid } from '../../postgres/postmaster-pid.ts';

export interface ProcessFacts {
  readonly pid: number;
  /** ISO 8601 in UTC. */
  readonly since: string | null;
  /** Stopped by SIGSTOP, a terminal or a debugger: it exists, but does nothing. */
  readonly suspended: boolean;
}

export function processFacts(pid: number): ProcessFacts | null {
  const stat = readStat(pid);
  if (stat === null) return null;
  const started = startedAtSeconds(stat);
  const since = started === null ? null : new Date(started * 1000).toISOString();
  return { pid, since, suspended: stat.state === 'T' || stat.state === 't' };
}

/** The process of a pid file. A file that a crash has left names no process, also when another one has its pid by now. */
export function processOf(pidFile: string): ProcessFacts | null {
  const one = readPidFile(pidFile);
  return one === null ? null : processFacts(one.pid);
}

/** The postmaster of a data directory, also one whose compute_ctl was killed. A postmaster.pid alone proves nothing. */
export function postmasterOf(pgdata: string): ProcessFacts | null {
  try {
    const named = readPostmasterPid(pgdata)?.pid ?? null;
    if (named === null || identify(named) === null) return null;
    const isIts = findPostgresOf(pgdata, [named]).processes.length > 0;
    return isIts ? processFacts(named) : null;
  } catch {
    return null;
  }
}
