import { existsSync, readFileSync, readdirSync, readlinkSync } from 'node:fs';

export interface ProcessStat {
  readonly pid: number;
  readonly ppid: number;
  readonly state: string;
  /** Clock ticks since boot, field 22 of /proc/PID/stat. */
  readonly startTicks: number;
}

/** Unit of /proc/PID/stat. It is the same on every Linux and does not depend on the kernel's own tick. */
const ticksPerSecond = 100;

export const hasProc = (): boolean => existsSync('/proc/self/stat');

export const processIds = (): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);

/** Null when there is no such process, or only its exit code is left (zombie).
 *  @see https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
export function readStat(pid: number): ProcessStat | null {
  const text = readText(`/proc/${pid}/stat`);
  if (text === null) return null;
  // The name in parentheses may itself contain blanks and parentheses.
  const [state = '', ppid, ...rest] = text.slice(text.lastIndexOf(')') + 2).split(' ');
  if (state === 'Z' || state === 'X') return null;
  return { pid, state, ppid: Number(ppid), startTicks: Number(rest[17]) };
}

export type Link =
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'gone' | 'unreadable' };

/** The target of `exe`, `cwd` or `ns/mnt` of a process. `unreadable`: we lack the permission. */
export function readProcLink(pid: number, name: 'exe' | 'cwd' | 'ns/mnt'): Link {
  try {
    return { kind: 'path', path: readlinkSync(`/proc/${pid}/${name}`) };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return { kind: code === 'EACCES' || code === 'EPERM' ? 'unreadable' : 'gone' };
  }
}

/** The effective user id; null when the process has ended. */
export function uidOf(pid: number): number | null {
  const uid = /^Uid:\s+\d+\s+(\d+)/m.exec(readText(`/proc/${pid}/status`) ?? '')?.[1];
  return uid === undefined ? null : Number(uid);
}

/** The command line, with blanks between the words; the title if the process has set one. */
export const commandLine = (pid: number): string =>
  (readText(`/proc/${pid}/cmdline`) ?? '').replaceAll('\0', ' ').trim();

/** When the process started, in seconds since 1970; exact to a second or two, unless the clock was set since then. */
export function startedAtSeconds({ startTicks }: ProcessStat): number | null {
  const boot = /^btime (\d+)$/m.exec(readText('/proc/stat') ?? '')?.[1];
  return boot === undefined ? null : Number(boot) + startTicks / ticksPerSecond;
}

/** Processes that have the System V shared memory segment attached; 0 when there is no such segment. */
export function attachments(text: string, key: number, id: number): number {
  for (const line of text.split('\n')) {
    const [lineKey, shmid, , , , , nattch] = line.trim().split(/\s+/);
    // The kernel prints the key as a signed number, Postgres as an unsigned one.
    if (Number(lineKey) >>> 0 === key >>> 0 && Number(shmid) === id) return Number(nattch);
  }
  return 0;
}

export const sharedMemoryTable = (): string => readText('/proc/sysvipc/shm') ?? '';

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

/** How many files, connections included, this process may have open; Infinity where that is not known.
 *  @see https://man7.org/linux/man-pages/man2/getrlimit.2.html RLIMIT_NOFILE */
export function openFilesLimit(): number {
  const soft = /^Max open files\s+(\d+)/m.exec(readText('/proc/self/limits') ?? '')?.[1];
  return soft === undefined ? Infinity : Number(soft);
}
