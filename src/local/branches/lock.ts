import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { never } from '../../core/abort.ts';
import { ComputeError, explained } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import { poll } from '../../core/poll.ts';
import { type PgdataLock, lockPgdata } from '../../postgres/lock.ts';
import { withDirectory } from '../../process/dir-fd.ts';
import { fsyncPath, ownDir } from '../../process/files.ts';
import { removeMade } from '../../process/made.ts';
import { endLeftovers } from '../leftovers.ts';
import { madeUnfinishedBranch, resetNote } from '../made.ts';
import type { LocalDir } from '../state.ts';
import { madeOtherTimelines } from '../storage/made.ts';
import { lockDir } from '../lock.ts';
import { holdsAnything } from '../remove.ts';
import { removeBranch, removeRest } from './remove.ts';
import {
  type BranchEntry,
  branchDir,
  childrenOf,
  isOver,
  isRunning,
  listBranches,
  namesIn,
  restsIn,
} from './tree.ts';

/** Longer than a stop of Postgres may take, which another command may wait for. */
export const treeMs = 160_000;

/** Runs work that changes which branches there are: one command at a time. What a killed one left is removed first, and every
 *  branch whose time is over.
 *  @param limitMs how long to wait for another command
 *  @throws ComputeError `busy` */
export async function withTree<T>(
  dir: LocalDir,
  log: Log,
  signal: AbortSignal,
  work: () => Promise<T>,
  limitMs = treeMs,
): Promise<T> {
  if (!existsSync(dir.branches)) {
    ownDir(dir.branches, 0o755);
    fsyncPath(dir.root);
  }
  const taken = await poll(() => tryLock(dir), { everyMs: 20, limitMs }, signal);
  if (taken === null)
    throw new ComputeError('busy', `another command is changing the branches in ${dir.root}`, {
      hint: 'wait until it has ended, then try again',
    });
  try {
    await complete(dir, log);
    return await work();
  } finally {
    await taken.release();
  }
}

async function tryLock({ branches }: LocalDir): Promise<PgdataLock | null> {
  try {
    return await lockPgdata(join(branches, 'tree'));
  } catch (error) {
    if (error instanceof ComputeError && error.code === 'pgdata_locked') return null;
    throw error;
  }
}

/** Completes what was killed, and removes what is over. The caller holds the lock of the tree. What cannot be removed now does not
 *  keep the command from its own work. */
async function complete(dir: LocalDir, log: Log): Promise<void> {
  const each = async (name: string, work: () => Promise<unknown>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      log.warn(`${branchDir(dir, name).root} was not removed yet: ${explained(error)}`);
    }
  };
  if (readdirSync(dir.branches).some((name) => name.startsWith('.new-')))
    await withDirectory(dir.branches, (fd) => removeMade(fd, [madeUnfinishedBranch], never));
  for (const name of restsIn(dir))
    await each(name, async () => {
      if (!holdsAnything(branchDir(dir, name))) await removeRest(dir, name);
    });
  for (const name of namesIn(dir))
    if (existsSync(join(branchDir(dir, name).root, resetNote)))
      await each(name, () => removeBranch(dir, name, log));
  for (const branch of listBranches(dir))
    await each(branch.name, async () => {
      await removeFormer(branch, log);
      const isInUse = childrenOf(listBranches(dir), branch.state.timelineId).length > 0;
      if (isOver(branch.state, Date.now()) && !isInUse) await removeBranch(dir, branch.name, log);
    });
}

/** Timelines of a reset that was killed: before the new one was in use, or afterwards. A running compute keeps them. */
async function removeFormer({ dir, state }: BranchEntry, log: Log): Promise<void> {
  const { tenantId, timelineId } = state;
  const path = join(dir.storage, tenantId);
  const others = (): boolean => existsSync(path) && readdirSync(path).some((name) => name !== timelineId);
  if (!others() || isRunning(dir)) return;
  const lock = await lockDir(dir).catch(() => null);
  if (lock === null) return;
  try {
    await endLeftovers(dir, state, log, never);
    await withDirectory(path, (fd) => removeMade(fd, madeOtherTimelines(timelineId), never));
  } finally {
    await lock.release();
  }
}
