import { closeSync, constants, fstat, openSync, read, readFileSync, readdirSync } from 'node:fs';
import { promisify } from 'node:util';
import { sleep } from '../core/clock.ts';

// What the starter of this program has opened for it: `/dev/fd/3` is a pipe or a file that the starter could open, and that
// this process cannot open again once root is given up.

const { O_RDONLY, O_NONBLOCK } = constants;
const pauseMs = 20;

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

/** Node marks all that it opens itself, and what it inherits up to 15. */
export function closeInherited(): void {
  for (const name of entries('/proc/self/fd'))
    if (Number(name) > 2 && isInherited(name)) closeSync(Number(name));
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

const statOf = promisify(fstat);
const readSome = promisify(read);

/** Whether the content can be read again. */
export const isFile = async (fd: number): Promise<boolean> => (await statOf(fd)).isFile();

/** Reads a file from its beginning, or a pipe to its end, also one that nobody has opened for writing yet. Waits without
 *  holding a thread: the process could not exit then.
 *  @throws Error when there are more than `maxBytes`; AbortError */
export async function readToEnd(fd: number, maxBytes: number, signal: AbortSignal): Promise<string> {
  const file = await isFile(fd);
  const pieces: Buffer[] = [];
  let length = 0;
  for (;;) {
    signal.throwIfAborted();
    const piece = Buffer.alloc(64 * 1024);
    const count = await readSome(fd, piece, 0, piece.length, file ? length : null).then(
      ({ bytesRead }) => bytesRead,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'EAGAIN') return null;
        throw error;
      },
    );
    // A pipe that nobody has opened for writing yet looks like one that has ended.
    if (count === 0 && (length > 0 || file)) return Buffer.concat(pieces).toString('utf8');
    if (count === null || count === 0) {
      await sleep(pauseMs, signal);
      continue;
    }
    length += count;
    if (length > maxBytes) throw new Error(`it is longer than ${maxBytes} bytes`);
    pieces.push(piece.subarray(0, count));
  }
}
