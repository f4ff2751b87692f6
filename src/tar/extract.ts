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

/** An entry that no honest base backup holds. It will not be better next time. */
export class HostileArchive extends NotRetryable {
  constructor(entry: string, why: string, cause?: unknown) {
    super('archive_invalid', `archive entry ${JSON.stringify(entry)} is refused: ${why}`, { cause });
  }
}

export interface ExtractOptions {
  /** An existing directory, made for this. */
  readonly dir: string;
  /** Who everything is to belong to. */
  readonly runAs: RunAs;
  /** Names, relative to `dir`, that are left out even when the archive has them. */
  readonly keep?: ReadonlySet<string>;
}

const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
const freshFile = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;

/** Only tablespaces are links, and their names are numbers. */
const tablespace = /^pg_tblspc\/\d+$/;

/** What the file system says about an archive that contradicts itself; everything else is the disk's trouble. */
const contradictions = new Set([
  'EEXIST',
  'EISDIR',
  'ENOTDIR',
  'ELOOP',
  'ENAMETOOLONG',
  'ENOTEMPTY',
  'EINVAL',
]);

/** Writes entries below one directory, synchronously: for many small files that is several times quicker than
 *  streams, and a stall of the event loop is one file long. Nothing is fsynced: a data directory that did not get
 *  as far as Postgres starting in it is thrown away. */
export class Extractor implements TarSink {
  readonly names = new Set<string>();
  bytes = 0;
  files = 0;
  readonly #options: ExtractOptions;
  readonly #umask = process.umask();
  /** Directories known to be real ones. */
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

  /** Modes and times of directories, which writing into them would change or forbid. */
  finish(): void {
    for (const { path, mode, mtime } of this.#directories.toReversed()) {
      chmodSync(path, mode);
      utimesSync(path, mtime, mtime);
    }
  }

  /** Closes what a failure left open. */
  abandon(): void {
    if (this.#open !== null) closeSync(this.#open.fd);
    this.#open = null;
  }

  #create(name: string, entry: TarEntry): void {
    if (entry.type === 'directory') {
      // The directory itself keeps the mode it was made with.
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

  /** Makes `name` and what is above it, and makes sure that none of it is a link. */
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

/** Drops a leading `/` and `.` components.
 *  @throws HostileArchive for names that lead out of the directory or that no file system has */
function cleanName(name: string): string {
  const parts = name.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.includes('..')) throw new HostileArchive(name, 'its path leads out of the data directory');
  if (name.includes('\0')) throw new HostileArchive(name, 'its name holds a NUL');
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
