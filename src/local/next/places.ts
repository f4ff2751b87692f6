import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, fstatSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { never } from '../../core/abort.ts';
import { ComputeError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import { stopLeftover } from '../../postgres/leftover.ts';
import { isPrepared, markPrepared, noteFile } from '../../postgres/prepared/note.ts';
import { openDirectory } from '../../process/dir-fd.ts';
import { endByPidFile } from '../../process/pid-file.ts';
import { removeTree } from '../../process/remove-tree.ts';
import { readSmall } from '../../process/regular-file.ts';
import { entriesThatCount } from '../entries.ts';
import type { LocalDir, LocalState } from '../state.ts';
import { Fence } from '../storage/fence.ts';
import { generationFile } from '../storage/files.ts';
import { timelineDir } from '../storage/layout.ts';

const allOf = ({ next, nextFresh, nextTemplate }: LocalDir): string[] => [next, nextFresh, nextTemplate];

/** What it recovers is made again. */
const leftoverLimits = { fastMs: 0, immediateMs: 5000, killMs: 5000 };
const graceMs = 10_000;

/** Whether the last `up` has ended by itself, and not in a crash: it then removes its pid file last. */
export const endedInOrder = (dir: LocalDir): boolean => !existsSync(dir.upPid);

/** Ends what an earlier run has left of a preparation, and renames its directories, as compute_ctl does it with old data directories; it
 *  removes both kinds once the compute runs.
 *  @param keepsWhole what is complete stays: a start looks whether it is right, and a preparation whether the template is */
export async function clearNext(
  dir: LocalDir,
  keepsWhole: boolean,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  await endByPidFile(dir.nextPid, 'the preparation of an earlier run', graceMs, signal);
  for (const path of allOf(dir)) {
    if (ownerOf(path) !== 'ours') continue;
    await stopLeftover(path, leftoverLimits, log, signal);
    if (keepsWhole && path !== dir.nextFresh && isWhole(path)) continue;
    renameSync(path, `${dir.pgdata}.old-${randomBytes(8).toString('hex')}`);
  }
}

/** Complete, unless the machine has been started again since then. */
export const isWhole = (path: string): boolean => existsSync(join(path, noteFile));

/** Whose it is. An empty one was left by a kill right after its creation. */
export function ownerOf(path: string): 'nobody' | 'ours' | 'foreign' {
  let fd: number;
  try {
    fd = openDirectory(path);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? 'nobody' : 'foreign';
  }
  try {
    if (fstatSync(fd).uid !== process.getuid?.()) return 'foreign';
    return isPrepared(fd) || entriesThatCount(fd).length === 0 ? 'ours' : 'foreign';
  } finally {
    closeSync(fd);
  }
}

/** Makes sure that the places are ours, and ends the PostgreSQL of a preparation that was killed. What is in the place of the next data
 *  directory is not one any more.
 *  @throws ComputeError `dir_refused` when somebody else's directory is in one of the places */
export async function freePlaces(dir: LocalDir, log: Log, signal: AbortSignal): Promise<void> {
  const foreign = allOf(dir).find((path) => ownerOf(path) === 'foreign');
  if (foreign !== undefined)
    throw new ComputeError('dir_refused', `compute-local did not create ${foreign}`, {
      hint: 'move it to another place: the next data directory is prepared there',
    });
  rmSync(join(dir.next, noteFile), { force: true });
  for (const path of [dir.nextFresh, dir.nextTemplate]) await stopLeftover(path, leftoverLimits, log, signal);
  for (const path of [dir.next, dir.nextFresh]) await removeTree(path, signal);
}

/** After a preparation that has failed: what is half made is only space. */
export async function removeUnfinished({ nextFresh, nextTemplate }: LocalDir): Promise<void> {
  for (const path of [nextFresh, nextTemplate])
    if (ownerOf(path) === 'ours' && !isWhole(path)) await removeTree(path, never);
}

/** Called before a start: a next data directory whose number is not the newest any more is not used. Another compute has got a base
 *  backup since then; the storage would receive nothing from this one, and its commits would wait for ever. */
export function dropFenced(dir: LocalDir, { tenantId, timelineId }: LocalState): void {
  if (ownerOf(dir.next) !== 'ours') return;
  const { generation } = new Fence(timelineDir(dir.storage, tenantId, timelineId));
  if (generationOf(dir.next) !== generation) rmSync(join(dir.next, noteFile), { force: true });
}

function generationOf(path: string): number | null {
  try {
    return Number(readSmall(join(path, generationFile)));
  } catch {
    return null;
  }
}

/** Creates one, with its marker. Nothing is in its place. */
export function createNext(path: string): void {
  mkdirSync(path, { mode: 0o700 });
  const fd = openDirectory(path);
  try {
    markPrepared(fd);
  } finally {
    closeSync(fd);
  }
}
