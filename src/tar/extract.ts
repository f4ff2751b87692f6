import {
  closeSync,
  constants,
  fchmodSync,
  futimesSync,
  openSync,
  symlinkSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { ComputeError } from '../core/errors.ts';
import { NotRetryable } from '../core/not-retryable.ts';
import { Directories } from './directories.ts';
import type { TarEntry, TarSink } from './read.ts';

/** An entry that never occurs in a valid base backup. Not retryable: the next attempt would get the same entry. */
export class HostileArchive extends NotRetryable {
  constructor(entry: string, why: string, options: { cause?: unknown; hint?: string } = {}) {
    super('archive_invalid', `archive entry ${JSON.stringify(entry)} is refused: ${why}`, options);
  }
}

export interface ExtractOptions {
  /** An existing directory that only this extractor writes to. */
  readonly dir: string;
  /** Names, relative to `dir`, that are skipped even if the archive contains them. */
  readonly keep?: ReadonlySet<string>;
}

const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
const freshFile = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;

/** Only tablespaces may be links, and their names are numbers. */
const tablespace = /^pg_tblspc\/\d+$/;

/** File system errors that mean that the archive contradicts itself; all other errors are problems of the disk. */
const contradictions = new Set(['EEXIST', 'EISDIR', 'ENAMETOOLONG', 'ENOTEMPTY', 'EINVAL']);
const throughLink = new Set(['ENOTDIR', 'ELOOP']);

/** Writes entries below one directory, synchronously: for many small files that is several times faster than streams, and
 *  it blocks the event loop for one file at most. Nothing is fsynced: if the machine crashes before Postgres has started,
 *  the next start creates the data directory again. */
export class Extractor implements TarSink {
  readonly names = new Set<string>();
  bytes = 0;
  files = 0;
  readonly #options: ExtractOptions;
  readonly #umask = process.umask();
  readonly #directories: Directories;
  readonly #modes: { name: string; mode: number; mtime: number }[] = [];
  #open: { fd: number; entry: TarEntry } | null = null;

  constructor(options: ExtractOptions) {
    this.#options = options;
    this.#directories = new Directories(options.dir);
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
      try {
        futimesSync(fd, entry.mtime, entry.mtime);
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      // A file system of the network reports some errors of writing only here.
      throw this.#explain(error, entry.name);
    }
  }

  /** Sets the modes and times of directories. Done last, since writing to a directory changes its time and its mode may
   *  forbid writing. */
  finish(): void {
    for (const { name, mode, mtime } of this.#modes.toReversed()) {
      try {
        const fd = this.#directories.descriptor(name);
        fchmodSync(fd, mode);
        futimesSync(fd, mtime, mtime);
      } catch (error) {
        throw this.#explain(error, name);
      }
    }
  }

  /** Closes everything, also the file that is still open after a failure. */
  close(): void {
    if (this.#open !== null) closeSync(this.#open.fd);
    this.#open = null;
    this.#directories.close();
  }

  #create(name: string, entry: TarEntry): void {
    if (entry.type === 'directory') {
      // The target directory itself keeps its mode.
      if (name === '') return;
      this.#directories.descriptor(name);
      this.#modes.push({ name, mode: entry.mode, mtime: entry.mtime });
      return;
    }
    if (name === '') throw new HostileArchive(entry.name, 'it has no name');
    if (entry.type === 'hardlink') throw new HostileArchive(entry.name, 'it is a hard link');
    if (entry.type === 'sparse')
      throw new HostileArchive(entry.name, 'it is stored as a sparse file', {
        hint: 'create the archive without the holes of files: tar without --sparse (-S), bsdtar with --no-read-sparse',
      });
    if (entry.type === 'other') throw new HostileArchive(entry.name, 'it is neither a file nor a directory');
    if (this.#options.keep?.has(topOf(name)) === true) return;
    if (entry.type === 'symlink') this.#symlink(name, entry);
    else this.#file(name, entry);
  }

  #file(name: string, entry: TarEntry): void {
    const path = this.#directories.entry(name);
    const fd = replacing(path, () => openSync(path, freshFile, entry.mode));
    this.#open = { fd, entry };
    if ((entry.mode & this.#umask) !== 0) fchmodSync(fd, entry.mode);
    this.names.add(name);
    this.files++;
  }

  #symlink(name: string, entry: TarEntry): void {
    if (!tablespace.test(name) || !entry.linkName.startsWith('/') || entry.linkName.includes('\0')) {
      throw new HostileArchive(entry.name, 'only tablespaces may be symbolic links, to an absolute path');
    }
    const path = this.#directories.entry(name);
    replacing(path, () => symlinkSync(entry.linkName, path));
  }

  #explain(error: unknown, name: string): unknown {
    const { code } = error as NodeJS.ErrnoException;
    if (error instanceof ComputeError || code === undefined) return error;
    if (throughLink.has(code))
      return new HostileArchive(name, 'its path leads through a link or file', { cause: error });
    if (contradictions.has(code)) return new HostileArchive(name, code, { cause: error });
    return new ComputeError('pgdata_refused', `cannot write ${this.#options.dir}/${name}: ${code}`, {
      cause: error,
    });
  }
}

const topOf = (name: string): string => name.split('/', 1)[0] ?? '';

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
