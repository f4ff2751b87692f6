import { type Dirent, closeSync, lstatSync, readdirSync, rmSync, rmdirSync } from 'node:fs';
import { readdir, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { entryOf, openDirectory } from './dir-fd.ts';
import { emptyInPlace } from './remove-tree.ts';

/** What a program makes in a directory, by name. The rest is somebody else's. */
export interface Made {
  readonly name: RegExp;
  /** `tree`: a directory with all that is in it; a list: a directory in which only this was made. */
  readonly is: 'file' | 'socket' | 'link' | 'tree' | readonly Made[];
  /** For a directory: what shows that it is ours. @param dir a descriptor */
  readonly when?: (dir: number) => boolean;
}

/** A small file that is replaced as a whole: `<name>.new` is the next one. */
export const madeFile = (name: string): Made => ({
  name: new RegExp(`^${name.replaceAll('.', String.raw`\.`)}(\\.new)?$`),
  is: 'file',
});

/** Why a directory is not removed: it has gone, or is in use, or something else is in it or in its place. */
const stays = ['ENOENT', 'ENOTEMPTY', 'EEXIST', 'EBUSY', 'ENOTDIR'];

/** Index of the entry's rule; -1 when it is somebody else's. */
export const ruleOf = (made: readonly Made[], entry: Dirent): number =>
  made.findIndex(({ name, is }) => name.test(entry.name) && isKind(entry, is));

function isKind(entry: Dirent, is: Made['is']): boolean {
  if (is === 'file') return entry.isFile();
  if (is === 'socket') return entry.isSocket();
  if (is === 'link') return entry.isSymbolicLink();
  return entry.isDirectory();
}

/** Removes what was made in a directory, in the order of the rules, and the directories that are empty then. Links are
 *  never followed; what belongs to another user stays.
 *  @param dir a descriptor
 *  @returns the paths, relative to the directory, of what somebody else put there: all of that is still there
 *  @throws the system's error for the first entry that cannot be removed */
export async function removeMade(dir: number, made: readonly Made[], signal: AbortSignal): Promise<string[]> {
  const kept: string[] = [];
  const entries = (await readdir(`/proc/self/fd/${dir}`, { withFileTypes: true })).map((entry) => ({
    entry,
    rule: ruleOf(made, entry),
  }));
  for (const { entry, rule } of entries.toSorted((a, b) => a.rule - b.rule)) {
    signal.throwIfAborted();
    const { name } = entry;
    const one = made[rule];
    const path = entryOf(dir, name);
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined) continue;
    if (one === undefined || stat.uid !== process.getuid?.()) kept.push(name);
    else if (!entry.isDirectory()) await ignoring(['ENOENT'], unlink(path));
    else kept.push(...(await removeDirectory(path, one, signal)).map((below) => `${name}${below}`));
  }
  return kept;
}

/** @returns the paths below it that are kept, each with a slash before it; an empty one for the directory itself */
async function removeDirectory(path: string, { is, when }: Made, signal: AbortSignal): Promise<string[]> {
  let dir: number;
  try {
    dir = openDirectory(path);
  } catch (error) {
    // Somebody has put something else in its place.
    if (['ENOENT', 'ELOOP', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return [];
    throw error;
  }
  let kept: string[] = [];
  try {
    if (when?.(dir) === false) return [''];
    if (is === 'tree') await emptyInPlace(entryOf(dir, '.'), signal);
    else if (typeof is !== 'string') kept = (await removeMade(dir, is, signal)).map((below) => `/${below}`);
  } finally {
    closeSync(dir);
  }
  // A mounted volume stays, as does a directory in which something is kept.
  await ignoring(stays, rmdir(path));
  return kept;
}

async function ignoring(codes: readonly string[], removing: Promise<void>): Promise<void> {
  try {
    await removing;
  } catch (error) {
    if (!codes.includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

/** Removes files that were made from a directory, and the directory when nothing else is in it. It may be missing. */
export function removeFilesSync(dir: string, made: readonly Made[]): void {
  try {
    for (const entry of readdirSync(dir, { withFileTypes: true }))
      if (entry.isFile() && ruleOf(made, entry) !== -1) rmSync(join(dir, entry.name), { force: true });
    rmdirSync(dir);
  } catch (error) {
    if (!stays.includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

/** True when a file, socket or link that was made is in a directory, at any depth; a tree counts when it is not empty.
 *  Directories alone do not count: one stays when somebody else has put something there. */
export function holdsMade(dir: number, made: readonly Made[]): boolean {
  return readdirSync(`/proc/self/fd/${dir}`, { withFileTypes: true }).some((entry) => {
    const { is, when } = made[ruleOf(made, entry)] ?? { is: null };
    if (is === null || !entry.isDirectory()) return is !== null;
    let below: number;
    try {
      below = openDirectory(entryOf(dir, entry.name));
    } catch {
      return false;
    }
    try {
      if (when?.(below) === false) return false;
      return is === 'tree'
        ? readdirSync(`/proc/self/fd/${below}`).length > 0
        : typeof is === 'object' && holdsMade(below, is);
    } finally {
      closeSync(below);
    }
  });
}
