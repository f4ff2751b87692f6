import { randomBytes } from 'node:crypto';
import {
  type Dirent,
  closeSync,
  fchmodSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
} from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ComputeError } from '../core/errors.ts';
import { systemHint } from '../core/system-hints.ts';
import { lockInside } from './lock.ts';
import { isMarked, mark } from './marker.ts';
import { checkReachable } from './parent.ts';
import { canonicalPath } from './path.ts';
import { entryOf, openDirectory, openForEntries } from '../process/dir-fd.ts';
import { emptyInPlace, isVolumeOwn, removeTree } from '../process/remove-tree.ts';

export interface PreparedPgdata {
  /** Absolute, no symbolic links: use this path from here on. */
  readonly path: string;
  /** Removes the renamed directories, of this start and of earlier starts that did not remove theirs. Runs in the
   *  background once the compute runs; rejects when an entry cannot be removed. */
  readonly cleanUp: (signal: AbortSignal) => Promise<void>;
}

export interface PrepareOptions {
  /** Also wipe a data directory that compute_ctl did not create. Default false. */
  readonly wipeForeign?: boolean;
}

/** Makes sure that a start may wipe this data directory, without changing anything. To be called before a Postgres that
 *  uses it is stopped: a foreign one must keep running.
 *  @param path absolute, no symbolic links
 *  @throws ComputeError `pgdata_refused` when it is a file, belongs to another user, or contains something that compute_ctl
 *  did not create */
export function checkWipeable(path: string, options: PrepareOptions = {}): void {
  checkReachable(path);
  const dir = openPgdata(path, path);
  if (dir === null) return;
  try {
    checkContent(dir, path, options);
  } finally {
    closeSync(dir);
  }
}

/** @param dir a descriptor of it */
function checkContent(dir: number, path: string, { wipeForeign = false }: PrepareOptions): void {
  const { uid } = fstatSync(dir);
  if (uid !== process.getuid?.()) {
    throw new ComputeError(
      'pgdata_refused',
      `the data directory ${path} belongs to another user (uid ${uid}; compute_ctl runs as uid ${process.getuid?.()})`,
      {
        hint: `use a directory of the user that compute_ctl runs as, or change its owner: chown -R ${process.getuid?.()} ${path}`,
      },
    );
  }
  const own = ownEntries(dir).filter((entry) => !isLock(entry.name));
  if (own.length === 0 || wipeForeign || isMarked(dir)) return;
  const some = own.slice(0, 5).map(({ name }) => name);
  throw new ComputeError(
    'pgdata_refused',
    `the data directory ${path} is not empty and was not created by compute_ctl: it contains ${some.join(', ')}${own.length > 5 ? ', …' : ''}`,
    {
      hint: 'every start wipes the data directory: use an empty or a new directory, empty it by hand, or allow it with --wipe-foreign-pgdata',
    },
  );
}

/** Prepares an empty data directory with its marker: mode 0700. An old directory is renamed to `<pgdata>.old-<random>`,
 *  which is quick, or emptied in place if it cannot be renamed (a mounted volume). The caller holds the lock and has made
 *  sure that no Postgres uses the directory. All of it is done to the directory that was checked: whoever swaps it, or one
 *  above it, meanwhile has nothing else wiped.
 *  @throws ComputeError `pgdata_refused` as `checkWipeable`, or when it cannot be created */
export async function preparePgdata(
  pgdata: string,
  signal: AbortSignal,
  options: PrepareOptions = {},
): Promise<PreparedPgdata> {
  const path = await canonicalPath(pgdata);
  checkReachable(path);
  let parent: number | null = null;
  let dir: number | null = null;
  try {
    parent = openForEntries(dirname(path));
    const place = { path, parent, name: basename(path) };
    dir = openPgdata(entryOf(parent, place.name), path);
    if (dir === null) dir = createFresh(place);
    else {
      checkContent(dir, path, options);
      if (ownEntries(dir).length > 0) dir = await clear(place, dir, signal);
    }
    fchmodSync(dir, 0o700);
    mark(dir);
  } catch (error) {
    if (signal.aborted || error instanceof ComputeError) throw error;
    throw cannotPrepare(path, error as NodeJS.ErrnoException);
  } finally {
    for (const fd of [parent, dir]) if (fd !== null) closeSync(fd);
  }
  return { path, cleanUp: (signal) => removeMovedAside(path, signal) };
}

interface Place {
  readonly path: string;
  /** A descriptor of the directory above. */
  readonly parent: number;
  readonly name: string;
}

/** The lock of a data directory that cannot be renamed: it holds while the content is replaced. */
const isLock = (name: string): boolean => name === lockInside;

/** Empties the data directory between two attempts to fetch a base backup; the directory itself stays.
 *  @param path as returned by `preparePgdata` */
export async function emptyPgdata(path: string, signal: AbortSignal): Promise<void> {
  let dir: number | null = null;
  try {
    dir = openPgdata(path, path);
    if (dir === null || !isMarked(dir)) throw replaced(path);
    await emptyInPlace(entryOf(dir, '.'), signal, isLock);
    mark(dir);
  } catch (error) {
    if (signal.aborted || error instanceof ComputeError) throw error;
    throw cannotPrepare(path, error as NodeJS.ErrnoException);
  } finally {
    if (dir !== null) closeSync(dir);
  }
}

/** Null when there is no such directory.
 *  @param shown its path for messages */
function openPgdata(path: string, shown: string): number | null {
  try {
    return openDirectory(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return null;
    if (code !== 'ENOTDIR' && code !== 'ELOOP') throw error;
    throw new ComputeError('pgdata_refused', `the data directory ${shown} is a file or a symbolic link`, {
      hint: 'give the path of a directory, which may not exist yet',
    });
  }
}

const entriesOf = (dir: number): Dirent[] => readdirSync(`/proc/self/fd/${dir}`, { withFileTypes: true });

const ownEntries = (dir: number): Dirent[] => entriesOf(dir).filter((entry) => !isVolumeOwn(entry));

function createFresh({ path, parent, name }: Place): number {
  mkdirSync(entryOf(parent, name), { mode: 0o700 });
  const dir = openDirectory(entryOf(parent, name));
  if (entriesOf(dir).length === 0) return dir;
  closeSync(dir);
  throw replaced(path);
}

/** @returns a descriptor of the empty directory; `dir` is closed when that is another one */
async function clear(place: Place, dir: number, signal: AbortSignal): Promise<number> {
  if (!holdsMounts(dir) && moveAside(place, dir)) {
    const fresh = createFresh(place);
    closeSync(dir);
    return fresh;
  }
  await emptyInPlace(entryOf(dir, '.'), signal, isLock);
  return dir;
}

/** A volume mounted inside, e.g. on pg_wal, must stay where it is. */
function holdsMounts(dir: number): boolean {
  const { dev } = fstatSync(dir);
  return ownEntries(dir).some(
    (entry) =>
      entry.isDirectory() && lstatSync(entryOf(dir, entry.name), { throwIfNoEntry: false })?.dev !== dev,
  );
}

/** False when the directory is a mount point, or we may not write to its parent.
 *  @throws ComputeError `pgdata_refused` when another one is in its place by now */
function moveAside({ path, parent, name }: Place, dir: number): boolean {
  const old = entryOf(parent, `${name}.old-${randomBytes(8).toString('hex')}`);
  try {
    renameSync(entryOf(parent, name), old);
  } catch (error) {
    if (['EBUSY', 'EXDEV', 'EACCES', 'EPERM', 'EROFS'].includes((error as NodeJS.ErrnoException).code ?? ''))
      return false;
    throw error;
  }
  const [checked, moved] = [fstatSync(dir), lstatSync(old)];
  if (moved.ino === checked.ino && moved.dev === checked.dev) return true;
  renameSync(old, entryOf(parent, name));
  throw replaced(path);
}

const replaced = (path: string): ComputeError =>
  new ComputeError('pgdata_refused', `the data directory ${path} was replaced meanwhile`, {
    hint: 'only its OS user and root should be able to write to the directories above it',
  });

async function removeMovedAside(path: string, signal: AbortSignal): Promise<void> {
  const parent = dirname(path);
  const prefix = `${basename(path)}.old-`;
  for (const name of await readdir(parent).catch(nothingToSee)) {
    if (!name.startsWith(prefix) || !/^[0-9a-f]{16}$/.test(name.slice(prefix.length))) continue;
    const old = join(parent, name);
    const stat = await lstat(old).catch(() => null);
    // Neither a link nor another user's directory is one that we renamed.
    if (stat?.isDirectory() === true && stat.uid === process.getuid?.()) await removeTree(old, signal);
  }
}

/** Where the parent cannot be read, nothing could be renamed either. */
function nothingToSee(error: NodeJS.ErrnoException): string[] {
  if (error.code === 'EACCES') return [];
  throw error;
}

function cannotPrepare(path: string, cause: NodeJS.ErrnoException): ComputeError {
  const at = cause.path === undefined || cause.path === path ? '' : `: ${cause.path}`;
  return new ComputeError(
    'pgdata_refused',
    `cannot prepare the data directory ${path} (${cause.code})${at}`,
    {
      cause,
      hint: systemHint(cause) ?? 'compute_ctl needs write permission on it and on the directory above it',
    },
  );
}
