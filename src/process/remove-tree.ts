import type { Dirent } from 'node:fs';
import { lstat, readdir, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';

const isGone = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';

/** Removes a directory and its contents; links are removed, not followed. Stops between two entries when `signal` aborts.
 *  @throws the system's error for the first entry that cannot be removed */
export async function removeTree(dir: string, signal: AbortSignal): Promise<void> {
  for (const entry of await entriesOf(dir)) {
    signal.throwIfAborted();
    await removeEntry(join(dir, entry.name), entry, signal);
  }
  await rmdir(dir).catch((error: unknown) => {
    if (!isGone(error)) throw error;
  });
}

/** Removes a directory's contents, but keeps the directory itself; volumes mounted inside it are emptied and stay. */
export async function emptyInPlace(dir: string, signal: AbortSignal): Promise<void> {
  const { dev } = await lstat(dir);
  for (const entry of await entriesOf(dir)) {
    signal.throwIfAborted();
    const path = join(dir, entry.name);
    if (entry.isDirectory() && (await lstat(path)).dev !== dev) await emptyInPlace(path, signal);
    else if (!isVolumeOwn(entry)) await removeEntry(path, entry, signal);
  }
}

/** `lost+found` belongs to the file system, not to Postgres, and only root could create it again. */
export const isVolumeOwn = (entry: Dirent): boolean => entry.name === 'lost+found' && entry.isDirectory();

async function removeEntry(path: string, entry: Dirent, signal: AbortSignal): Promise<void> {
  if (entry.isDirectory()) return removeTree(path, signal);
  await unlink(path).catch((error: unknown) => {
    if (!isGone(error)) throw error;
  });
}

async function entriesOf(dir: string): Promise<Dirent[]> {
  try {
    return await readdir(dir, { withFileTypes: true });
  } catch (error) {
    if (isGone(error)) return [];
    throw error;
  }
}
