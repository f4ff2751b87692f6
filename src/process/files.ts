import {
  closeSync,
  fchmodSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, resolve } from 'node:path';

// Synchronous, since these files are small, and since no other code can run in the middle of a synchronous write.

export interface WriteOptions {
  /** Default 0666 less umask. */
  readonly mode?: number;
  /** True: the file survives a power failure. PGDATA does not need this: every start creates it again. Default false. */
  readonly durable?: boolean;
  /** The path of the new file. Default `<path>.new`. */
  readonly fresh?: string;
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

/** The first half of `writeAtomically`, for several files that belong together. A file of the new one's name, from an earlier
 *  run, is removed. */
export function writeBeside(
  path: string,
  content: string | Uint8Array,
  { mode, durable = false, fresh = `${path}.new` }: WriteOptions,
): PendingFile {
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

/** Points the symbolic link `path` at `target`, atomically. A file in its place is replaced. */
export function pointLink(path: string, target: string): void {
  const fresh = `${path}.new`;
  rmSync(fresh, { force: true });
  symlinkSync(target, fresh);
  renameSync(fresh, path);
}

/** The same, and it survives a crash of the machine. */
export function linkDurable(path: string, target: string): void {
  pointLink(path, target);
  fsyncPath(dirname(path));
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

/** Makes sure that a directory exists, with those above it. Node's own `recursive` repeats for ever where the kernel says
 *  that a directory cannot be created because it does not exist, as everywhere in /proc.
 *  @param mode of each new one, less umask
 *  @throws the system's error: ENOENT in such a place; EEXIST when something else is in the way */
export function ownDir(path: string, mode: number): void {
  const missing: string[] = [];
  for (let at = resolve(path); !isDirectory(at); at = dirname(at)) missing.unshift(at);
  for (const each of missing) {
    try {
      mkdirSync(each, { mode });
    } catch (error) {
      // Somebody else was faster.
      if (!isDirectory(each)) throw error;
    }
  }
}

const isDirectory = (path: string): boolean => {
  try {
    return statSync(path).isDirectory();
  } catch (error) {
    // Below a directory that may not be read, the attempt to create it gives the reason.
    if (['ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP'].includes((error as NodeJS.ErrnoException).code ?? ''))
      return false;
    throw error;
  }
};
