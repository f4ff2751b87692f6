import { type Dirent, fstatSync, lstatSync } from 'node:fs';
import { readdir, rmdir, unlink } from 'node:fs/promises';
import { entryOf, withDirectory } from './dir-fd.ts';

const isGone = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';
const isNoDirectory = (error: unknown): boolean =>
  ['ELOOP', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');

/** Removes a directory with all its content. Each directory is opened relative to the one above it, so a symbolic link is
 *  removed and never followed, also one that replaces a directory meanwhile. Stops between two entries when `signal` aborts.
 *  @throws the system's error for the first entry that cannot be removed */
export async function removeTree(dir: string, signal: AbortSignal): Promise<void> {
  try {
    await withDirectory(dir, async (fd) => {
      for (const entry of await entriesOf(fd)) {
        signal.throwIfAborted();
        await removeEntry(entryOf(fd, entry.name), entry, signal);
      }
    });
  } catch (error) {
    if (isGone(error)) return;
    if (!isNoDirectory(error)) throw error;
    return ignoreGone(unlink(dir));
  }
  await ignoreGone(rmdir(dir));
}

/** Removes the content of a directory, but keeps the directory, the entries of `keep`, and (emptied) what is mounted inside
 *  it. */
export async function emptyInPlace(
  dir: string,
  signal: AbortSignal,
  keep: (name: string) => boolean = () => false,
): Promise<void> {
  await withDirectory(dir, async (fd) => {
    const { dev } = fstatSync(fd);
    for (const entry of await entriesOf(fd)) {
      signal.throwIfAborted();
      if (isVolumeOwn(entry) || keep(entry.name)) continue;
      const path = entryOf(fd, entry.name);
      const mounted = entry.isDirectory() && lstatSync(path, { throwIfNoEntry: false })?.dev !== dev;
      if (mounted) await emptyInPlace(path, signal);
      else await removeEntry(path, entry, signal);
    }
  });
}

/** `lost+found` belongs to the file system, not to Postgres, and only root could create it again. */
export const isVolumeOwn = (entry: Dirent): boolean => entry.name === 'lost+found' && entry.isDirectory();

const removeEntry = (path: string, entry: Dirent, signal: AbortSignal): Promise<void> =>
  entry.isDirectory() ? removeTree(path, signal) : ignoreGone(unlink(path));

async function ignoreGone(removing: Promise<void>): Promise<void> {
  try {
    await removing;
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

const entriesOf = (fd: number): Promise<Dirent[]> => readdir(`/proc/self/fd/${fd}`, { withFileTypes: true });
