import { closeSync, constants, openSync, readFileSync, readdirSync } from 'node:fs';

// What the starter of this program has opened for it: `/dev/fd/3` is a pipe or a file that the starter could open, and that
// this process cannot open again once root is given up.

const { O_RDONLY, O_NONBLOCK } = constants;

const fdPath = /^\/(?:dev|proc\/self)\/fd\/(\d+)$/;

/** By path. */
const opened = new Map<string, number>();

/** Opens those of the paths that name a descriptor, and closes every other descriptor that the programs which are started
 *  from here would inherit: whatever the starter had open would be theirs. To be called before root is given up. */
export function takeGivenFiles(paths: readonly (string | null)[]): void {
  for (const path of paths) {
    if (path === null || (path !== '/dev/stdin' && !fdPath.test(path)) || opened.has(path)) continue;
    try {
      opened.set(path, openSync(path, O_RDONLY | O_NONBLOCK));
    } catch {
      // Whoever reads it gets the reason.
    }
  }
  closeInherited();
}

/** Node marks all that it opens itself, and at its start what it has inherited up to this one.
 *  @see uv_disable_stdio_inheritance of libuv */
const markedByNode = 15;

export function closeInherited(): void {
  for (const name of entries('/proc/self/fd'))
    if (Number(name) > markedByNode && isInherited(name)) closeSync(Number(name));
}

const closeOnExec = 0o2000000;

/** @see https://man7.org/linux/man-pages/man5/proc_pid_fdinfo.5.html */
function isInherited(fd: string): boolean {
  try {
    const flags = /^flags:\s+([0-7]+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1];
    return flags !== undefined && (Number.parseInt(flags, 8) & closeOnExec) === 0;
  } catch {
    return false; // it was the one that the directory was read with
  }
}

function entries(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return []; // a system without it
  }
}

/** The descriptor of a path that `takeGivenFiles` opened; null for other paths. */
export const givenFile = (path: string): number | null => opened.get(path) ?? null;
