import { randomBytes } from 'node:crypto';
import { type Dirent, lstatSync } from 'node:fs';
import { chmod, lstat, mkdir, readdir, rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ComputeError } from '../core/errors.ts';
import { lockInside } from './lock.ts';
import { checkReachable } from './parent.ts';
import { canonicalPath } from './path.ts';
import { writeAtomically } from '../process/files.ts';
import { readSmall } from '../process/regular-file.ts';
import { emptyInPlace, isVolumeOwn, removeTree } from '../process/remove-tree.ts';

export interface PreparedPgdata {
  /** Absolute, no symbolic links: use this path from here on. */
  readonly path: string;
  /** Removes the renamed directories, of this start and of earlier starts that did not remove theirs. Runs in the
   *  background once the compute runs; rejects when an entry cannot be removed. */
  readonly cleanUp: (signal: AbortSignal) => Promise<void>;
}

/** Created in every data directory before anything else: only a directory with this file is ever wiped. */
export const markerFile = 'compute_ctl.marker';

/** @param birth of the directory, so that a copy of it does not count */
const markerText = (birth: string): string =>
  `compute_ctl created this directory. It is wiped and created again at every start: keep nothing in it.
Created: ${birth}
`;

export interface PrepareOptions {
  /** Also wipe a data directory that compute_ctl did not create. Default false. */
  readonly wipeForeign?: boolean;
}

/** Makes sure that a start may wipe this data directory, without changing anything. To be called before a Postgres that
 *  uses it is stopped: a foreign one must keep running.
 *  @param path absolute, no symbolic links
 *  @throws ComputeError `pgdata_refused` when it is a file, belongs to another user, or contains something that compute_ctl
 *  did not create */
export async function checkWipeable(
  path: string,
  { wipeForeign = false }: PrepareOptions = {},
): Promise<void> {
  checkReachable(path);
  const entries = await entriesOf(path);
  if (entries === null) return;
  const { uid } = await lstat(path);
  if (uid !== process.getuid?.()) {
    throw new ComputeError(
      'pgdata_refused',
      `the data directory ${path} belongs to another user (uid ${uid})`,
      {
        hint: 'use a directory of the user that compute_ctl runs as, or change its owner',
      },
    );
  }
  const own = entries.filter((entry) => !isVolumeOwn(entry) && !isLock(entry.name));
  if (own.length === 0 || wipeForeign || (await isMarked(path))) return;
  const some = own.slice(0, 5).map(({ name }) => name);
  throw new ComputeError(
    'pgdata_refused',
    `the data directory ${path} is not empty and was not created by compute_ctl: it contains ${some.join(', ')}${own.length > 5 ? ', …' : ''}`,
    {
      hint: 'every start wipes the data directory: use an empty or a new directory, empty it by hand, or allow it with --wipe-foreign-pgdata',
    },
  );
}

/** A link or a file of another user is not a marker, nor is one that was copied together with its directory. */
async function isMarked(path: string): Promise<boolean> {
  const file = join(path, markerFile);
  const stat = await lstat(file).catch(() => null);
  if (stat === null || !stat.isFile() || stat.uid !== process.getuid?.()) return false;
  const birth = /^Created: (\w+)$/m.exec(readSmall(file))?.[1];
  return birth === unknownBirth || birth === String(lstatSync(path, { bigint: true }).birthtimeNs);
}

/** Prepares an empty data directory with its marker: mode 0700. An old directory is renamed to `<pgdata>.old-<random>`,
 *  which is quick, or emptied in place if it cannot be renamed (a mounted volume). The caller holds the lock and has made
 *  sure that no Postgres uses the directory.
 *  @throws ComputeError `pgdata_refused` as `checkWipeable`, or when it cannot be created */
export async function preparePgdata(
  pgdata: string,
  signal: AbortSignal,
  options: PrepareOptions = {},
): Promise<PreparedPgdata> {
  const path = await canonicalPath(pgdata);
  try {
    await checkWipeable(path, options);
    const entries = await entriesOf(path);
    if (entries === null) await mkdir(path, { mode: 0o700 });
    else if (entries.length > 0) await clear(path, entries, signal);
    await chmod(path, 0o700);
    mark(path);
  } catch (error) {
    if (signal.aborted || error instanceof ComputeError) throw error;
    throw cannotPrepare(path, error as NodeJS.ErrnoException);
  }
  return { path, cleanUp: (signal) => removeMovedAside(path, signal) };
}

/** The lock of a data directory that cannot be renamed: it holds while the content is replaced. */
const isLock = (name: string): boolean => name === lockInside;

/** Where the file system does not record when a directory was created. */
const unknownBirth = 'unknown';

function mark(path: string): void {
  const write = (birth: string): void =>
    writeAtomically(join(path, markerFile), markerText(birth), { mode: 0o600 });
  const { birthtimeNs } = lstatSync(path, { bigint: true });
  write(String(birthtimeNs));
  // Then Node gives the time of the last change instead, which the marker itself has just moved.
  const after = lstatSync(path, { bigint: true });
  if (birthtimeNs === 0n || after.birthtimeNs !== birthtimeNs) write(unknownBirth);
}

/** Empties the data directory between two attempts to fetch a base backup; the directory itself stays.
 *  @param path as returned by `preparePgdata` */
export async function emptyPgdata(path: string, signal: AbortSignal): Promise<void> {
  try {
    await emptyInPlace(path, signal, isLock);
    mark(path);
  } catch (error) {
    if (signal.aborted) throw error;
    throw cannotPrepare(path, error as NodeJS.ErrnoException);
  }
}

/** Null when there is no such directory. */
async function entriesOf(path: string): Promise<Dirent[] | null> {
  try {
    return await readdir(path, { withFileTypes: true });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return null;
    if (code !== 'ENOTDIR') throw error;
    throw new ComputeError('pgdata_refused', `the data directory ${path} is a file`, {
      hint: 'give the path of a directory, which may not exist yet',
    });
  }
}

async function clear(path: string, entries: readonly Dirent[], signal: AbortSignal): Promise<void> {
  const own = entries.filter((entry) => !isVolumeOwn(entry));
  if (own.length === 0) return;
  if (!(await holdsMounts(path, own)) && (await moveAside(path))) await mkdir(path, { mode: 0o700 });
  else await emptyInPlace(path, signal, isLock);
}

/** A volume mounted inside, e.g. on pg_wal, must stay where it is. */
async function holdsMounts(path: string, entries: readonly Dirent[]): Promise<boolean> {
  const { dev } = await lstat(path);
  const directories = entries.filter((entry) => entry.isDirectory());
  const stats = await Promise.all(directories.map(({ name }) => lstat(join(path, name))));
  return stats.some((stat) => stat.dev !== dev);
}

/** False when the directory is a mount point, or we may not write to its parent. */
async function moveAside(path: string): Promise<boolean> {
  try {
    await rename(path, `${path}.old-${randomBytes(8).toString('hex')}`);
    return true;
  } catch (error) {
    if (['EBUSY', 'EXDEV', 'EACCES', 'EPERM', 'EROFS'].includes((error as NodeJS.ErrnoException).code ?? ''))
      return false;
    throw error;
  }
}

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
      hint: 'compute_ctl needs write permission on it and on the directory above it',
    },
  );
}
