import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { ComputeError } from '../core/errors.ts';

// Synchronous, since these files are small, and since no other code can run in the middle of a synchronous write.

export interface WriteOptions {
  /** Default: we own it. */
  /** Default 0666 less umask. */
  readonly mode?: number;
  /** True: the file survives a power failure. PGDATA does not need this: every start creates it again. Default false. */
  readonly durable?: boolean;
}

export interface PendingFile {
  /** Replaces the old content by the new one. */
  commit(): void;
  /** Removes the new file; the old content stays. */
  discard(): void;
}

/** Replaces a file so that a reader sees the old content or the new one, never a part: a new file, then a rename. */
export function writeAtomically(path: string, content: string | Uint8Array, options: WriteOptions): void {
  writeBeside(path, content, options).commit();
}

/** Like `writeAtomically`, but also safe when the machine crashes: afterwards the file has the old or the new content.
 *  Without a mode only its owner may read it. */
export const writeDurable = (
  path: string,
  content: string,
  options: Omit<WriteOptions, 'durable'> = {},
): void => writeAtomically(path, content, { mode: 0o600, ...options, durable: true });

/** The first half of `writeAtomically`, for several files that belong together. The new file is `<path>.new`; such a file
 *  from an earlier run is removed. */
export function writeBeside(
  path: string,
  content: string | Uint8Array,
  { mode, durable = false }: WriteOptions,
): PendingFile {
  const fresh = `${path}.new`;
  const discard = (): void => rmSync(fresh, { force: true });
  const orDiscard = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      discard();
      throw error;
    }
  };
  discard();
  orDiscard(() => {
    const fd = openSync(fresh, 'wx', mode ?? 0o666);
    try {
      if (mode !== undefined) fchmodSync(fd, mode);
      writeFileSync(fd, content);
      if (durable) fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  });
  return {
    discard,
    commit: () => orDiscard(() => (durable ? renameDurable : renameSync)(fresh, path)),
  };
}

export function renameDurable(from: string, to: string): void {
  renameSync(from, to);
  fsyncPath(dirname(to));
}

/** Points the symbolic link `path` at `target`, atomically. */
export function linkDurable(path: string, target: string): void {
  const fresh = `${path}.new`;
  rmSync(fresh, { force: true });
  symlinkSync(target, fresh);
  renameDurable(fresh, path);
}

/** Makes the content of a file, or the entries of a directory, survive a crash of the machine. */
export function fsyncPath(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Reads a small file that other processes may have put there: never follows a link, waits for no writer of a fifo, and reads
 *  no more than it may have.
 *  @throws ComputeError `pgdata_refused` for links, fifos, devices, files that are too large; the system's error, as ENOENT */
export function readOwnFile(path: string, maxBytes: number): string {
  const fd = openRegular(path);
  try {
    const { size } = fstatSync(fd);
    if (size > maxBytes) throw refused(path, `has ${size} bytes, more than ${maxBytes}`);
    return readFileSync(fd, 'utf8');
  } finally {
    closeSync(fd);
  }
}

/** Opens a regular file for reading.
 *  @throws as `readOwnFile` */
export function openRegular(path: string): number {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ELOOP') throw refused(path, 'is a symbolic link', error);
    // A socket.
    if (code === 'ENXIO') throw refused(path, 'is not a file', error);
    throw error;
  }
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  throw refused(path, 'is not a file');
}

const refused = (path: string, why: string, cause?: unknown): ComputeError =>
  new ComputeError('pgdata_refused', `${path} ${why}`, {
    cause,
    hint: 'Postgres and compute_ctl did not create it: remove it',
  });

/** Makes sure that a directory exists. */
export function ownDir(path: string, mode: number): void {
  mkdirSync(path, { recursive: true, mode });
}
