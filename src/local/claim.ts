import { accessSync, closeSync, constants, openSync } from 'node:fs';
import { ComputeError } from '../core/errors.ts';
import { systemHint } from '../core/system-hints.ts';
import { checkReachable } from '../postgres/parent.ts';
import { ownDir } from '../process/files.ts';
import { dirMarker } from './made.ts';
import { type Own, inspectDir, refuseLoss } from './own.ts';
import { refuseForeignPgdata } from './pgdata.ts';
import type { LocalDir, LocalState } from './state.ts';
import { type HeldTimeline, currentBase, timelineDir } from './storage/layout.ts';

/** Creates the directory, if it is missing, and makes sure that this user can write to it.
 *  @throws ComputeError `dir_refused`; `pgdata_refused` naming a directory that this user cannot enter */
export function createRoot({ root, pgdata }: LocalDir): void {
  checkReachable(pgdata);
  try {
    ownDir(root, 0o755);
    accessSync(root, constants.W_OK);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new ComputeError(
      'dir_refused',
      `cannot create the directory ${root}, or anything in it (${code})`,
      {
        cause,
        hint: 'choose a directory of this user with --dir',
      },
    );
  }
}

/** @throws ComputeError `dir_refused` when this user cannot delete anything in the directory */
export function requireWritable({ root }: LocalDir): void {
  try {
    accessSync(root, constants.W_OK | constants.X_OK);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new ComputeError('dir_refused', `cannot delete anything in ${root} (${code})`, {
      cause,
      hint: systemHint(cause) ?? 'run it as the user that the directory belongs to',
    });
  }
}

/** Makes an empty directory compute-local's, and one of an earlier version, which had no marker. Nothing in it is changed.
 *  The caller holds its lock.
 *  @throws ComputeError `dir_refused` as `inspectDir`, or when another PostgreSQL's data is in the place of ours */
export function claimDir(dir: LocalDir): Own {
  const found = inspectDir(dir);
  const own: Own = found.kind === 'own' ? found : { kind: 'own', state: null, lost: null, resetting: null };
  if (own.state !== null) refuseLoss(dir, own.state);
  if (own.resetting === null) refuseForeignPgdata(dir, systemIdOf(dir, own.state ?? own.lost));
  const fd = openSync(dir.root, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    if (!dirMarker.isIn(fd)) dirMarker.put(fd);
  } finally {
    closeSync(fd);
  }
  return own;
}

/** Of the database in the storage; null when there is none, or it cannot be read.
 *  @param ids the state, or what the storage holds */
export function systemIdOf(
  { storage }: LocalDir,
  ids: (HeldTimeline & Pick<LocalState, 'systemId'>) | null,
): string | null {
  if (ids === null) return null;
  try {
    return currentBase(timelineDir(storage, ids.tenantId, ids.timelineId))?.systemId ?? ids.systemId ?? null;
  } catch {
    return ids.systemId ?? null;
  }
}
