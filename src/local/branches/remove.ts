import { never } from '../../core/abort.ts';
import type { Log } from '../../core/log.ts';
import { fsyncPath } from '../../process/files.ts';
import { withDirectory } from '../../process/dir-fd.ts';
import { removeMade } from '../../process/made.ts';
import { lockDir } from '../lock.ts';
import { madeUpLock, proofs } from '../made.ts';
import { inspectDir } from '../own.ts';
import { removeAll } from '../remove.ts';
import type { LocalDir } from '../state.ts';
import { stopDir } from '../stop-dir.ts';
import { silent } from './end.ts';
import { branchDir } from './tree.ts';

/** Stops a branch and removes everything that was made in its directory. From the first step on it counts as deleted, so that a
 *  removal that is killed is completed by the next command. The caller holds the lock of the tree.
 *  @returns the paths of what somebody else put there: all of that is still there */
export async function removeBranch(dir: LocalDir, name: string, log: Log): Promise<string[]> {
  const own = branchDir(dir, name);
  await stopDir(own, silent, log, never);
  const lock = await lockDir(own);
  let kept: string[] = [];
  try {
    const found = inspectDir(own, 'reset');
    if (found.kind === 'own') kept = await removeAll(own, found);
  } finally {
    await lock.release();
  }
  const rest = await removeRest(dir, name);
  fsyncPath(dir.branches);
  return [...new Set([...kept, ...rest])];
}

/** The lock, and what showed that the directory was ours: goes last. @returns what stays */
export const removeRest = (dir: LocalDir, name: string): Promise<string[]> =>
  withDirectory(dir.branches, async (fd) => {
    const made = { name: new RegExp(`^${name}$`), is: [madeUpLock, ...proofs] };
    const kept = await removeMade(fd, [made], never);
    return kept.flatMap((path) => (path.startsWith(`${name}/`) ? [path.slice(name.length + 1)] : []));
  });
