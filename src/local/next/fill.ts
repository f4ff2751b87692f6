import { constants, copyFileSync, rmSync, writeFileSync } from 'node:fs';
import { copyFile, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { workThrough } from '../../core/queue.ts';
import type { Lsn } from '../../core/lsn.ts';
import { noteFile, preparedMarker } from '../../postgres/prepared/note.ts';
import { unpack } from '../../tar/unpack.ts';
import { plainArchive, sizesOf } from '../storage/archive.ts';
import { type Copied, tellCopied } from '../storage/copying.ts';
import { type Source, contentOf, segmentOf } from './source.ts';

/** Unpacks the base backup with its WAL into an empty directory, as a base backup for a compute has it.
 *  @throws ComputeError `local_storage` when it is damaged; AbortError */
export async function unpackSource(
  path: string,
  source: Source,
  onCopied: (copied: Copied) => void,
  signal: AbortSignal,
): Promise<void> {
  const { base, segments } = source;
  const last = segments.at(-1);
  const partial = last?.partial === true ? contentOf(last, base) : null;
  const snapshot = { base, segments, partial, generation: null };
  const tell = tellCopied(sizesOf(snapshot, false).totalBytes, onCopied);
  const pieces = async function* (): AsyncGenerator<Buffer> {
    let bytes = 0;
    for await (const piece of plainArchive(snapshot)) {
      signal.throwIfAborted();
      tell((bytes += piece.length));
      yield piece;
    }
  };
  const keep = new Set([noteFile, preparedMarker]);
  // Of our own storage.
  const limits = { bytes: Infinity, entries: Infinity };
  await unpack(pieces(), { dir: path, keep, gzip: false, limits }, signal);
}

/** Adds the WAL since `from`, where its own ends. A wake need not wait for all of it. @throws the system's error; AbortError */
export async function addWal(
  path: string,
  { base, segments }: Source,
  from: Lsn,
  signal: AbortSignal,
): Promise<void> {
  for (const segment of segments) {
    if (segment.number < segmentOf(from, base)) continue;
    signal.throwIfAborted();
    await writeFile(join(path, 'pg_wal', segment.name), contentOf(segment, base), { mode: 0o600 });
  }
}

/** Whether two files in this directory can have the same blocks, as on XFS and btrfs. */
export function canClone(path: string): boolean {
  const [one, other] = [join(path, `${noteFile}.new`), join(path, `${preparedMarker}.new`)];
  writeFileSync(one, Buffer.alloc(8192));
  try {
    copyFileSync(one, other, constants.COPYFILE_FICLONE_FORCE);
    return true;
  } catch {
    return false;
  } finally {
    for (const file of [one, other]) rmSync(file, { force: true });
  }
}

const concurrency = 16;

/** Clones a data directory into an empty one: the files have the same blocks until one of them is written.
 *  @throws AggregateError with the system's errors; AbortError */
export async function cloneTree(from: string, to: string, signal: AbortSignal): Promise<void> {
  const files: string[] = [];
  const directory = async (name: string): Promise<void> => {
    for (const entry of await readdir(join(from, name), { withFileTypes: true })) {
      signal.throwIfAborted();
      const path = join(name, entry.name);
      if (entry.isDirectory()) {
        await mkdir(join(to, path), { mode: 0o700 });
        await directory(path);
      } else if (name !== '' || !ofTemplate.has(entry.name)) files.push(path);
    }
  };
  await directory('');
  await workThrough(files, concurrency, signal, (name) =>
    copyFile(join(from, name), join(to, name), constants.COPYFILE_FICLONE_FORCE),
  );
}

const ofTemplate: ReadonlySet<string> = new Set([noteFile, preparedMarker]);
