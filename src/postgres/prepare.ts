import { randomBytes } from 'node:crypto';
import type { Dirent } from 'node:fs';
import { chmod, chown, lstat, mkdir, readdir, rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ComputeError } from '../core/errors.ts';
import type { RunAs } from '../process/os-user.ts';
import { checkReachable } from './parent.ts';
import { canonicalPath } from './path.ts';
import { emptyInPlace, isVolumeOwn, removeTree } from '../process/remove-tree.ts';

export interface PreparedPgdata {
  /** Absolute, no symbolic links: use this path from here on. */
  readonly path: string;
  /** Removes the renamed directories, of this start and of earlier starts that did not remove theirs. Runs in the
   *  background once the compute runs; rejects when an entry cannot be removed. */
  readonly cleanUp: (signal: AbortSignal) => Promise<void>;
}

/** Only directories that contain one of these may be wiped. */
const marks = ['PG_VERSION', 'global', 'pg_wal', 'postmaster.pid', 'base', 'neon.signal', 'zenith.signal'];

/** Prepares an empty data directory: mode 0700, owned by `runAs`. An old directory is renamed to `<pgdata>.old-<random>`,
 *  which is quick, or emptied in place if it cannot be renamed (a mounted volume). A symbolic link is followed and kept.
 *  The caller holds the lock and has made sure that no Postgres uses the directory.
 *  @throws ComputeError `pgdata_refused` when it contains anything but a Postgres cluster, or cannot be created */
export async function preparePgdata(
  pgdata: string,
  runAs: RunAs,
  signal: AbortSignal,
): Promise<PreparedPgdata> {
  const path = await canonicalPath(pgdata);
  await checkReachable(path, runAs, signal);
  try {
    const entries = await entriesOf(path);
    if (entries === null) await mkdir(path, { mode: 0o700 });
    else if (entries.length > 0) await clear(path, entries, signal);
    await chmod(path, 0o700);
    if (runAs !== null) await chown(path, runAs.uid, runAs.gid);
  } catch (error) {
    if (signal.aborted || error instanceof ComputeError) throw error;
    throw cannotPrepare(path, error as NodeJS.ErrnoException);
  }
  return { path, cleanUp: (signal) => removeMovedAside(path, signal) };
}

/** Empties the data directory between two attempts to fetch a base backup; the directory itself stays.
 *  @param path as returned by `preparePgdata` */
export async function emptyPgdata(path: string, signal: AbortSignal): Promise<void> {
  try {
    await emptyInPlace(path, signal);
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
  if (!own.some(({ name }) => marks.includes(name) || name.startsWith('postgresql.conf'))) {
    const some = own.slice(0, 5).map(({ name }) => name);
    throw new ComputeError(
      'pgdata_refused',
      `${path} is not empty and does not look like a Postgres data directory: it contains ${some.join(', ')}${own.length > 5 ? ', …' : ''}`,
      { hint: 'every start wipes the data directory: use an empty or a new directory, or empty it by hand' },
    );
  }
  if (!(await holdsMounts(path, own)) && (await moveAside(path))) await mkdir(path, { mode: 0o700 });
  else await emptyInPlace(path, signal);
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
  for (const name of await readdir(parent)) {
    const isOurs = name.startsWith(prefix) && /^[0-9a-f]{16}$/.test(name.slice(prefix.length));
    if (isOurs) await removeTree(join(parent, name), signal);
  }
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
