import { randomBytes } from 'node:crypto';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { RunAs } from './os-user.ts';

export interface WriteOptions {
  readonly runAs: RunAs;
  /** Default 0666 less umask. */
  readonly mode?: number;
  /** Survive a power failure. PGDATA itself need not: every start makes it anew. Default false. */
  readonly fsync?: boolean;
}

/** Writes a file so that a reader sees the old content or the new one, never a part: a new file, then a rename. */
export async function writeAtomically(
  path: string,
  content: string | Uint8Array,
  options: WriteOptions,
): Promise<void> {
  await (await writeBeside(path, content, options)).commit();
}

export interface PendingFile {
  /** Puts the new content in place. */
  commit(): Promise<void>;
  /** Gives it up. */
  discard(): Promise<void>;
}

/** The first half of `writeAtomically`, for several files that belong together. */
export async function writeBeside(
  path: string,
  content: string | Uint8Array,
  options: WriteOptions,
): Promise<PendingFile> {
  const fresh = join(dirname(path), `.${basename(path)}.${randomBytes(4).toString('hex')}.new`);
  const discard = (): Promise<void> => rm(fresh, { force: true });
  try {
    const file = await open(fresh, 'wx', options.mode ?? 0o666);
    try {
      if (options.mode !== undefined) await file.chmod(options.mode);
      if (options.runAs !== null) await file.chown(options.runAs.uid, options.runAs.gid);
      await file.writeFile(content);
      if (options.fsync === true) await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    await discard();
    throw error;
  }
  return {
    discard,
    async commit() {
      try {
        await rename(fresh, path);
        if (options.fsync === true) await syncDirectory(dirname(path));
      } catch (error) {
        await discard();
        throw error;
      }
    },
  };
}

async function syncDirectory(dir: string): Promise<void> {
  const handle = await open(dir, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes sure that a text has a line: whole lines are compared, without their ends. If absent it is appended, without a
 *  line end of its own; a text that ends in one so gets an empty line in between.
 *  @param isIt what counts as that line; the very same text when left out
 *  @returns null when there is nothing to do */
export function withLine(
  text: string | null,
  line: string,
  isIt = (other: string) => other === line,
): string | null {
  if (text === null || text === '') return line;
  if (text.split('\n').some((other) => isIt(other.replace(/\r$/, '')))) return null;
  return `${text}\n${line}`;
}

/** `withLine` for a file, which is replaced atomically. A missing file is made.
 *  @returns whether the file was changed */
export async function ensureLine(
  path: string,
  line: string,
  options: WriteOptions,
  isIt?: (other: string) => boolean,
): Promise<boolean> {
  const changed = withLine(await readText(path), line, isIt);
  if (changed !== null) await writeAtomically(path, changed, options);
  return changed !== null;
}

async function readText(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
