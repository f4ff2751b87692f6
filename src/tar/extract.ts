import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  futimesSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  openSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { ComputeError } from '../core/errors.ts';
import type { RunAs } from '../process/os-user.ts';
import { NotRetryable } from '../core/not-retryable.ts';
import type { TarEntry, TarSink } from './read.ts';

/** An entry that never occurs in a valid base backup. Not retryable: the next attempt would get the same entry. */
export class HostileArchive extends NotRetryable {
  constructor(entry: string, why: string, cause?: unknown) {
    super('archive_invalid', `archive entry ${JSON.stringify(entry)} is refused: ${why}`, { cause });
  }
}

export interface ExtractOptions {
  /** An existing directory that only this extractor writes to. */
  readonly dir: string;
  /** The owner of all files and directories. */
  readonly runAs: RunAs;
  /** Names, relative to `dir`, that are skipped even if the archive contains them. */
  readonly keep?: ReadonlySet<string>;
}

const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
const freshFile = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;

/** Only tablespaces may be links, and their names are numbers. */
const tablespace = /^pg_tblspc\/\d+$/;

/** File system errors that mean that the archive contradicts itself; all other errors are problems of the disk. */
const contradictions = new Set([
  'EEXIST',
  'EISDIR',
  'ENOTDIR',
  'ELOOP',
  'ENAMETOOLONG',
  'ENOTEMPTY',
  'EINVAL',
]);

/** Writes entries below one directory, synchronously: for many small files that is several times faster than streams, and
 *  it blocks the event loop for one file at most. Nothing is fsynced: if the machine crashes before Postgres has started,
 *  the next start creates the data directory again. */
export class Extractor implements TarSink {
  readonly names = new Set<string>();
  bytes = 0;
  files = 0;
  readonly #options: ExtractOptions;
  readonly #umask = process.umask();
  /** Paths that are known to be directories and not links. */
  readonly #real = new Set<string>(['']);
  readonly #directories: { path: string; mode: number; mtime: number }[] = [];
  #open: { fd: number; entry: TarEntry } | null = null;

  constructor(options: ExtractOptions) {
    this.#options = options;
  }

  begin(entry: TarEntry): void {
    const name = cleanName(entry.name);
    try {
      this.#create(name, entry);
    } catch (error) {
      throw this.#explain(error, entry.name);
    }
  }

  data(piece: Buffer): void {
    if (this.#open === null) return;
    try {
      for (let at = 0; at < piece.length;) at += writeSync(this.#open.fd, piece, at);
    } catch (error) {
      throw this.#explain(error, this.#open.entry.name);
    }
    this.bytes += piece.length;
  }

  end(): void {
    if (this.#open === null) return;
    const { fd, entry } = this.#open;
    this.#open = null;
    try {
      futimesSync(fd, entry.mtime, entry.mtime);
    } finally {
      closeSync(fd);
    }
  }

  /** Sets the modes and times of directories. Done last, since writing to a directory changes its time and its mode may
   *  forbid writing. */
  finish(): void {
    for (const { path, mode, mtime } of this.#directories.toReversed()) {
      chmodSync(path, mode);
      utimesSync(path, mtime, mtime);
    }
  }

  /** Closes the file that is still open after a failure. */
  abandon(): void {
    if (this.#open !== null) closeSync(this.#open.fd);
    this.#open = null;
  }

  #create(name: string, entry: TarEntry): void {
    if (entry.type === 'directory') {
      // The target directory itself keeps its mode.
      if (name === '') return;
      this.#directory(name);
      this.#directories.push({ path: this.#path(name), mode: entry.mode, mtime: entry.mtime });
      return;
    }
    if (name === '') throw new HostileArchive(entry.name, 'it has no name');
    if (entry.type === 'hardlink') throw new HostileArchive(entry.name, 'it is a hard link');
    if (entry.type === 'other') throw new HostileArchive(entry.name, 'it is neither a file nor a directory');
    if (this.#options.keep?.has(name) === true) return;
    this.#directory(name.slice(0, Math.max(name.lastIndexOf('/'), 0)));
    if (entry.type === 'symlink') this.#symlink(name, entry);
    else this.#file(name, entry);
  }

  #file(name: string, entry: TarEntry): void {
    const path = this.#path(name);
    const fd = replacing(path, () => openSync(path, freshFile, entry.mode));
    this.#open = { fd, entry };
    const { runAs } = this.#options;
    if (runAs !== null) fchownSync(fd, runAs.uid, runAs.gid);
    if ((entry.mode & this.#umask) !== 0) fchmodSync(fd, entry.mode);
    this.names.add(name);
    this.files++;
  }

  #symlink(name: string, entry: TarEntry): void {
    if (!tablespace.test(name) || !entry.linkName.startsWith('/') || entry.linkName.includes('\0')) {
      throw new HostileArchive(entry.name, 'only tablespaces may be symbolic links, to an absolute path');
    }
    const path = this.#path(name);
    replacing(path, () => symlinkSync(entry.linkName, path));
    const { runAs } = this.#options;
    if (runAs !== null) lchownSync(path, runAs.uid, runAs.gid);
  }

  /** Creates the directory `name` and its parents, and makes sure that none of them is a link. */
  #directory(name: string): void {
    if (this.#real.has(name)) return;
    this.#directory(name.slice(0, Math.max(name.lastIndexOf('/'), 0)));
    const path = this.#path(name);
    try {
      mkdirSync(path, 0o700);
      const { runAs } = this.#options;
      if (runAs !== null) lchownSync(path, runAs.uid, runAs.gid);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      if (!lstatSync(path).isDirectory())
        throw new HostileArchive(name, 'its path leads through a link or file');
    }
    this.#real.add(name);
  }

  #path(name: string): string {
    return `${this.#options.dir}/${name}`;
  }

  #explain(error: unknown, name: string): unknown {
    const { code } = error as NodeJS.ErrnoException;
    if (error instanceof ComputeError || code === undefined) return error;
    if (contradictions.has(code)) return new HostileArchive(name, code, error);
    return new ComputeError('pgdata_refused', `cannot write ${this.#path(name)}: ${code}`, { cause: error });
  }
}

/** Removes a leading `/` and `.` components.
 *  @throws HostileArchive for names that lead out of the directory or contain a NUL */
function cleanName(name: string): string {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw new HostileArchive(name, 'its path leads out of the data directory');
  if (name.includes('\0')) throw new HostileArchive(name, 'its name contains a NUL character');
  return parts.join('/');
}

function replacing<T>(path: string, create: () => T): T {
  try {
    return create();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    unlinkSync(path);
    return create();
  }
}
