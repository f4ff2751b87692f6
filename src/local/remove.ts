import { closeSync, constants, existsSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { never } from '../core/abort.ts';
import { renameDurable } from '../process/files.ts';
import { holdsMade, removeMade } from '../process/made.ts';
import { systemIdOf } from './claim.ts';
import { entriesThatCount } from './entries.ts';
import { dirMarker, lockName, madeDir, proofs, resetNote } from './made.ts';
import { type Own, stateIn } from './own.ts';
import type { LocalDir } from './state.ts';

/** Removes everything that compute-local made in its directory. Nothing may run there, and the caller holds the lock. From
 *  the first step on the data counts as deleted, so that a removal that is killed is completed and never undone.
 *  @returns the paths, relative to the directory, of what somebody else put there: all of that is still there */
export async function removeAll(dir: LocalDir, { lost }: Own): Promise<string[]> {
  const note = join(dir.root, resetNote);
  if (existsSync(dir.state)) renameDurable(dir.state, note);
  const fd = openSync(dir.root, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const systemId = systemIdOf(dir, stateIn(fd, resetNote) ?? lost);
    const last = new Set([lockName, ...proofNames]);
    const kept = (await removeMade(fd, madeDir(systemId), never)).filter((path) => !last.has(path));
    // The marker stays while something else is in the directory: it is still ours, and `up` works as before.
    const others = entriesThatCount(fd).filter(({ name }) => !last.has(name));
    await removeMade(
      fd,
      others.length === 0 ? proofs : proofs.filter((one) => !one.name.test(dirMarker.file)),
      never,
    );
    return kept;
  } finally {
    closeSync(fd);
  }
}

const proofNames = ['local.json', resetNote, dirMarker.file].flatMap((name) => [name, `${name}.new`]);

/** True when something of ours is left in the directory, besides its lock and the marker. */
export function holdsAnything({ root }: LocalDir): boolean {
  const fd = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    return holdsMade(fd, madeDir(null));
  } finally {
    closeSync(fd);
  }
}
