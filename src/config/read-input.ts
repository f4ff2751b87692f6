import { constants, fstat, read } from 'node:fs';
import { open } from 'node:fs/promises';
import { promisify } from 'node:util';
import { sleep, withDeadline } from '../core/clock.ts';
import { Secret } from '../core/secret.ts';
import { givenFile } from './given-files.ts';

export interface InputLimits {
  readonly maxBytes: number;
  /** Milliseconds until the end, e.g. of a pipe. */
  readonly limitMs: number;
  /** Which pipes are read only once, and then count as unchanged: those that the starter has opened, which nobody can open again, or
   *  those with a name, too. */
  readonly once: 'given' | 'all';
}

const statOf = promisify(fstat);
const readSome = promisify(read);
const chunkBytes = 64 * 1024;
const pauseMs = 20;

/** What came from pipes that are read only once, by path. */
const fromPipes = new Map<string, Secret>();

/** Reads a file of the command line from its beginning, or a pipe to its end, also one that nobody has opened for writing
 *  yet; what came from a pipe may be returned again the next time. Waits without holding a thread: the process could not exit
 *  then. Such a file may hold tokens.
 *  @throws Error of the system, or when there are more than `maxBytes`; ComputeError `deadline`; AbortError */
export async function readInput(path: string, limits: InputLimits, signal: AbortSignal): Promise<Secret> {
  const known = fromPipes.get(path);
  if (known !== undefined) return known;
  const given = givenFile(path);
  if (given !== null) return readAll(path, given, { ...limits, once: 'all' }, signal);
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    return await readAll(path, handle.fd, limits, signal);
  } finally {
    await handle.close();
  }
}

async function readAll(
  path: string,
  fd: number,
  { maxBytes, limitMs, once }: InputLimits,
  signal: AbortSignal,
): Promise<Secret> {
  const stat = await statOf(fd);
  const text = await withDeadline('reading it to its end', limitMs, signal, (inTime) =>
    readToEnd(fd, { maxBytes, isFile: stat.isFile(), isPipe: stat.isFIFO() }, inTime),
  );
  const all = new Secret(text);
  if (!stat.isFile() && once === 'all') fromPipes.set(path, all);
  return all;
}

async function readToEnd(
  fd: number,
  { maxBytes, isFile, isPipe }: { maxBytes: number; isFile: boolean; isPipe: boolean },
  signal: AbortSignal,
): Promise<string> {
  const pieces: Buffer[] = [];
  for (let length = 0; ;) {
    signal.throwIfAborted();
    const piece = Buffer.allocUnsafe(chunkBytes);
    const count = await readSome(fd, piece, 0, chunkBytes, isFile ? length : null).then(
      ({ bytesRead }) => bytesRead,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'EAGAIN') return null;
        throw error;
      },
    );
    // A pipe that nobody has opened for writing yet looks like one that has ended.
    if (count === 0 && (length > 0 || !isPipe)) return Buffer.concat(pieces).toString('utf8');
    if (count === null || count === 0) {
      await sleep(pauseMs, signal);
      continue;
    }
    length += count;
    if (length > maxBytes) throw new Error(`it is longer than ${maxBytes} bytes`);
    pieces.push(piece.subarray(0, count));
  }
}
