import { statSync } from 'node:fs';
import { ComputeError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { type Found, type PostgresProcess, findPostgresOf, isPostgresProgram } from './pgdata-processes.ts';
import { type PostmasterPid, readPostmasterPid } from './postmaster-pid.ts';
import { type EndStep, endAll } from '../process/end.ts';
import {
  attachments,
  hasProc,
  readProcLink,
  readStat,
  sharedMemoryTable,
  startedAtSeconds,
  uidOf,
} from '../process/proc.ts';

/** Milliseconds for each way of stopping, before the next one is tried. */
export interface LeftoverLimits {
  /** Fast shutdown: sessions are ended, a checkpoint is written. */
  readonly fastMs: number;
  /** Immediate shutdown. */
  readonly immediateMs: number;
  /** After SIGKILL. */
  readonly killMs: number;
}

export const leftoverLimits: LeftoverLimits = { fastMs: 20_000, immediateMs: 5000, killMs: 5000 };

/** Makes sure that no Postgres of an earlier run uses PGDATA any more. Its processes are identified by program and working
 *  directory, stopped (fast, immediate, SIGKILL) and awaited. A pid file that names an unrelated process is stale and
 *  ignored.
 *  @param pgdata absolute, no symbolic links; need not exist
 *  @returns how many processes were found and stopped
 *  @throws ComputeError `pgdata_refused` when a process uses PGDATA, or may use it, and cannot be identified or stopped */
export async function stopLeftover(
  pgdata: string,
  limits: LeftoverLimits,
  log: Log,
  signal: AbortSignal,
): Promise<number> {
  const file = readPostmasterPid(pgdata);
  if (!hasProc()) {
    refuseLivingPid(pgdata, file);
    return 0;
  }
  const find = (): Found => findPostgresOf(pgdata);
  const { processes, unreadable } = find();
  if (unreadable.length > 0) {
    const who = `process ${unreadable.join(', ')} may be its Postgres, but cannot be examined`;
    throw refused(pgdata, who, `inspect it (ps -fp ${unreadable[0]}), stop it by hand, then start again`);
  }
  if (!processes.some(({ pid }) => pid === file?.pid)) judgePidFile(pgdata, file, log);
  if (processes.length > 0) await stopAll(pgdata, () => find().processes, limits, log, signal);
  refuseAttached(pgdata, file);
  return processes.length;
}

/** The three steps to stop Postgres, in order, with their names for the log. */
function stopSteps({ fastMs, immediateMs, killMs }: LeftoverLimits): (EndStep & { readonly how: string })[] {
  return [
    { signal: 'SIGINT', graceMs: fastMs, how: `fast stop, at most ${fastMs} ms` },
    { signal: 'SIGQUIT', graceMs: immediateMs, how: `immediate stop, at most ${immediateMs} ms` },
    { signal: 'SIGKILL', graceMs: killMs, how: 'SIGKILL' },
  ];
}

async function stopAll(
  pgdata: string,
  find: () => Found['processes'],
  limits: LeftoverLimits,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  const first = find();
  const [fast, ...harder] = stopSteps(limits);
  // Only a postmaster can run a fast shutdown.
  const steps = fast !== undefined && first.some(({ isBackend }) => !isBackend) ? [fast, ...harder] : harder;
  const signalFor = ({ isBackend }: PostgresProcess, step: EndStep): NodeJS.Signals | null =>
    isBackend && step === fast ? null : step.signal;
  const onStep = (step: EndStep, left: Found['processes']): void =>
    log.warn(
      { pids: pidsOf(left) },
      `Postgres of an earlier run still uses ${pgdata}: ${steps.find((one) => one === step)?.how}`,
    );
  try {
    const left = await endAll(find, steps, signal, { signalFor, onStep });
    if (left.length === 0) return log.info(`Postgres of an earlier run of ${pgdata} has ended`);
    const who = `Postgres process ${pidsOf(left).join(', ')} of an earlier run still runs after SIGKILL`;
    throw refused(
      pgdata,
      who,
      'it waits for a disk or network file system: repair that, or restart the machine',
    );
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw error;
    const who = `Postgres process ${pidsOf(first).join(', ')} of an earlier run belongs to another user`;
    throw refused(pgdata, who, 'stop it as that user or as root, or start compute_ctl as that user', error);
  }
}

const pidsOf = (processes: Found['processes']): number[] => processes.map(({ pid }) => pid);

/** Checks a pid file whose pid was not found among this directory's Postgres processes. Returns when the file is certainly
 *  stale. */
function judgePidFile(pgdata: string, file: PostmasterPid | null, log: Log): void {
  const stat = file?.pid === null || file?.pid === undefined ? null : readStat(file.pid);
  if (file === null || stat === null) return;
  const stale = (why: string): void =>
    log.info(`postmaster.pid in ${pgdata} is stale: process ${stat.pid} ${why}`);
  const started = startedAtSeconds(stat);
  // A postmaster writes its start time right after it has started. A minute allows for a clock that was set meanwhile.
  const otherTime =
    started !== null && file.startSeconds !== null && Math.abs(started - file.startSeconds) > 60;
  const exe = readProcLink(stat.pid, 'exe');
  if (exe.kind === 'gone') return stale('has ended');
  if (exe.kind === 'path' && isPostgresProgram(exe.path))
    return stale('is the Postgres of another data directory');
  if (otherTime) return stale('started at another time');
  if (exe.kind === 'path') {
    const cwd = readProcLink(stat.pid, 'cwd');
    if (cwd.kind !== 'path' || cwd.path !== pgdata) return stale(`is ${exe.path}`);
  } else if (uidOf(stat.pid) !== statSync(pgdata).uid) {
    return stale('belongs to another user than the directory'); // Postgres refuses to start in such a directory
  }
  const what = exe.kind === 'path' ? `is ${exe.path}, not a known Postgres program` : 'cannot be examined';
  throw refused(
    pgdata,
    `postmaster.pid names process ${stat.pid}, which is running and ${what}`,
    `stop it if it is a Postgres (ps -fp ${stat.pid}), else remove ${pgdata}/postmaster.pid; then start again`,
  );
}

function refuseAttached(pgdata: string, file: PostmasterPid | null): void {
  if (file?.sharedMemory === null || file === null) return;
  const { key, id } = file.sharedMemory;
  const count = attachments(sharedMemoryTable(), key, id);
  if (count === 0) return;
  const who = `its shared memory segment ${id} is still attached by ${count} process(es) that cannot be identified`;
  throw refused(
    pgdata,
    who,
    `find them (grep -l ' /SYSV' /proc/*/maps, ipcs -mp) and stop them, then start again`,
  );
}

/** Without /proc no process can be identified: only a pid without a running process is safe. */
function refuseLivingPid(pgdata: string, file: PostmasterPid | null): void {
  if (file === null || file.pid === null) return;
  try {
    process.kill(file.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return;
  }
  const who = `postmaster.pid names process ${file.pid}, which is running and cannot be identified on this system`;
  throw refused(
    pgdata,
    who,
    `stop it if it is a Postgres, else remove ${pgdata}/postmaster.pid; then start again`,
  );
}

const refused = (pgdata: string, why: string, hint: string, cause?: unknown): ComputeError =>
  new ComputeError('pgdata_refused', `the data directory ${pgdata} is in use: ${why}`, { hint, cause });
