import { type Dirent, type Stats, lstat, lstatSync, readdir, readdirSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { never } from '../../core/abort.ts';
import { monotonicMs, within } from '../../core/clock.ts';
import { probeMs } from './probe.ts';

/** Bytes on disk, of sparse and of compressed files what they really take. */
export interface Size {
  readonly bytes: number;
  /** False when the limit came first, or something may not be read: there is more. */
  readonly complete: boolean;
}

/** Counts a directory. */
export type Sizer = (path: string) => Promise<Size>;

/** What a directory takes. */
interface Counted extends Size {
  /** Bytes of files with several names, as branches have, by device and inode: each counts once. */
  readonly shared: ReadonlyMap<string, number>;
}

/** Of the limit, after which no other directory is begun, so that what was counted until then is shown. */
const share = 0.8;
const none: ReadonlyMap<string, number> = new Map();
const nothing: Counted = { bytes: 0, shared: none, complete: true };
const unknown: Counted = { bytes: 0, shared: none, complete: false };

/** The sizes of directories, of which some lie in others: each file is looked at once. */
export class Sizes {
  readonly #endMs: number;
  readonly #known = new Map<string, Promise<Counted>>();
  readonly #limitMs: number;
  #directories = 0;

  constructor(limitMs = probeMs) {
    this.#limitMs = limitMs;
    this.#endMs = monotonicMs() + limitMs * share;
  }

  /** The size of a directory with everything in it; links are not followed. Missing: 0. Never rejects, and also ends in time where
   *  the file system does not answer. */
  async of(path: string): Promise<Size> {
    const counted = (await within(this.#directory(path), this.#limitMs, never)) ?? unknown;
    const shared = [...counted.shared.values()].reduce((all, bytes) => all + bytes, 0);
    return { bytes: counted.bytes + shared, complete: counted.complete };
  }

  /** @param depth below the one that was asked for */
  #directory(path: string, depth = 0): Promise<Counted> {
    const known = this.#known.get(path);
    if (known !== undefined) return known;
    const counted = this.#count(path, depth);
    this.#known.set(path, counted);
    return counted;
  }

  async #count(path: string, depth: number): Promise<Counted> {
    if (monotonicMs() > this.#endMs) return unknown;
    // Another file system begins above.
    const isDeep = depth > 1;
    try {
      if (isDeep && this.#directories++ % directoriesAtOnce === 0) await setImmediate();
      const own = isDeep ? lstatSync(path) : await statOf(path);
      if (!own.isDirectory()) return countedFile(own);
      const entries = isDeep ? readdirSync(path, { withFileTypes: true }) : await entriesOf(path);
      const below = entries.filter((entry) => entry.isDirectory());
      const [files, ...directories] = await Promise.all([
        this.#files(entries.flatMap((entry) => (entry.isDirectory() ? [] : [`${path}/${entry.name}`]))),
        ...below.map(({ name }) => this.#directory(`${path}/${name}`, depth + 1)),
      ]);
      return together([{ ...nothing, bytes: own.blocks * blockBytes }, files, ...directories]);
    } catch (error) {
      return sizeAfter(error);
    }
  }

  /** The files of a directory that was just read. In turn, since thousands of calls from other threads take five times as long; with
   *  pauses, so that the answers of processes are read meanwhile. */
  async #files(paths: readonly string[]): Promise<Counted> {
    const shared = new Map<string, number>();
    let [bytes, complete] = [0, true];
    for (const [i, path] of paths.entries()) {
      if (i % filesAtOnce === filesAtOnce - 1) {
        await setImmediate();
        if (monotonicMs() > this.#endMs) return { bytes, shared, complete: false };
      }
      const one = fileSize(path);
      bytes += one.bytes;
      complete &&= one.complete;
      for (const [name, size] of one.shared) shared.set(name, size);
    }
    return { bytes, shared, complete };
  }
}

/** One directory on its own. */
export const sizeOf: Sizer = (path) => new Sizes().of(path);

const blockBytes = 512;
/** About a millisecond. */
const filesAtOnce = 200;
const directoriesAtOnce = 10;

function countedFile({ blocks, nlink, dev, ino }: Stats): Counted {
  const bytes = blocks * blockBytes;
  return nlink > 1 ? { ...nothing, shared: new Map([[`${dev}:${ino}`, bytes]]) } : { ...nothing, bytes };
}

function fileSize(path: string): Counted {
  try {
    return countedFile(lstatSync(path));
  } catch (error) {
    return sizeAfter(error);
  }
}

function together(parts: readonly Counted[]): Counted {
  const shared = parts.flatMap((part) => [...part.shared]);
  return { ...sum(parts), shared: shared.length === 0 ? none : new Map(shared) };
}

/** What was removed meanwhile takes nothing. */
const sizeAfter = (error: unknown): Counted =>
  (error as NodeJS.ErrnoException).code === 'ENOENT' ? nothing : unknown;

// From another thread: a file system that does not answer must not hold up the rest.
const statOf = (path: string): Promise<Stats> =>
  new Promise((resolve, reject) => {
    lstat(path, (error, stat) => (error === null ? resolve(stat) : reject(error)));
  });

const entriesOf = (path: string): Promise<Dirent[]> =>
  new Promise((resolve, reject) => {
    readdir(path, { withFileTypes: true }, (error, entries) =>
      error === null ? resolve(entries) : reject(error),
    );
  });

export const sum = (sizes: readonly Size[]): Size => ({
  bytes: sizes.reduce((all, { bytes }) => all + bytes, 0),
  complete: sizes.every(({ complete }) => complete),
});

/** Bytes that an ordinary user can still write; null where the system does not say. */
export async function freeBytes(path: string): Promise<number | null> {
  const asked = statfs(path).then(
    ({ bavail, bsize }) => bavail * bsize,
    () => null,
  );
  return within(asked, probeMs, never);
}
