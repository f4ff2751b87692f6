import { lstatSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { type ProcessIdentity, identify } from './identity.ts';
import { readSmall } from './regular-file.ts';

/** The number in another program's pid file; null when the file is missing.
 *  @throws Error that says what is wrong with the content; as `readSmall` */
export function readForeignPid(path: string): number | null {
  let text: string;
  try {
    text = readSmall(path).trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  const pid = /^[1-9]\d{0,9}$/.test(text) ? Number(text) : 0;
  // Numbers below 1 would mean groups of processes, or all of them.
  if (pid <= 1 || pid === process.pid) throw new Error(`${path} does not hold a process number of a program`);
  return pid;
}

/** The process that a pid file names, if it holds a lock (flock) on this very file; else null. The lock shows that it
 *  runs: the number alone may be left over, and in use by another program.
 *  @throws as `readForeignPid` */
export function lockHolder(path: string): ProcessIdentity | null {
  const pid = readForeignPid(path);
  const one = pid === null ? null : identify(pid);
  if (pid === null || one === null) return null;
  // Of the path itself: a link could have taken its place since the number was read.
  const file = lstatSync(path, { bigint: true });
  return (locksByDescriptor(pid, file) ?? hasFlock(readText('/proc/locks'), pid, file.ino)) ? one : null;
}

interface FileId {
  readonly ino: bigint;
  readonly dev: bigint;
}

/** Null when we may not look at its descriptors: it has another user, or another group.
 *  @see https://man7.org/linux/man-pages/man5/proc_pid_fdinfo.5.html */
function locksByDescriptor(pid: number, file: FileId): boolean | null {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      const open = statSync(`/proc/${pid}/fd/${fd}`, { bigint: true, throwIfNoEntry: false });
      if (open === undefined || open.ino !== file.ino || open.dev !== file.dev) return false;
      return /^lock:.*\bFLOCK\b/m.test(readText(`/proc/${pid}/fdinfo/${fd}`));
    });
  } catch {
    return null;
  }
}

/** @see https://man7.org/linux/man-pages/man5/proc_locks.5.html */
export const hasFlock = (locks: string, pid: number, inode: bigint): boolean =>
  locks.split('\n').some((line) => {
    const [, kind, , , holder, file = ''] = line.trim().split(/\s+/);
    return kind === 'FLOCK' && holder === String(pid) && file.endsWith(`:${inode}`);
  });

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
