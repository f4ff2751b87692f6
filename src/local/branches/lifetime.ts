import { basename } from 'node:path';
import { explained } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import { repeat } from '../../core/retry.ts';
import { never } from '../../core/abort.ts';
import type { LocalDir, LocalState } from '../state.ts';
import { withTree } from './lock.ts';
import { childrenOf, homeOf, isOver, isRunning, listBranches } from './tree.ts';

const lookMs = 1000;
const sweepMs = 30_000;
const lockMs = 2000;

/** Whether a branch is to go: its time is over, and nothing was branched from it. */
const isToGo = (dir: LocalDir, state: LocalState): boolean =>
  isOver(state, Date.now()) && childrenOf(listBranches(homeOf(dir)), state.timelineId).length === 0;

/** What a running `up` does for branches, until `signal` aborts: that of a branch ends when its time is over, and that of the main
 *  compute removes those that do not run. Never rejects. */
export async function keepLifetimes(
  dir: LocalDir,
  state: LocalState,
  { stop, log }: { readonly stop: () => void; readonly log: Log },
  signal: AbortSignal,
): Promise<void> {
  const { branch } = state;
  if (branch !== undefined && branch.expiresAt === null && branch.owner === undefined) return;
  const look = async (): Promise<number> => {
    if (branch === undefined) await sweep(dir, log, signal);
    else if (isToGo(dir, state)) stop();
    return branch === undefined ? sweepMs : lookMs;
  };
  await repeat(look, signal, (error) => {
    log.warn(`branches were not looked at: ${explained(error)}`);
    return sweepMs;
  });
}

/** Also without any of those to remove, nothing is created. */
async function sweep(dir: LocalDir, log: Log, signal: AbortSignal): Promise<void> {
  const over = listBranches(dir).some((one) => isOver(one.state, Date.now()) && !isRunning(one.dir));
  if (over) await withTree(dir, log, signal, async () => {}, lockMs);
}

/** Removes the branch whose `up` ends here, if its time is over. Where another command is at it, that one does. */
export async function removeIfOver(dir: LocalDir, state: LocalState, log: Log): Promise<void> {
  if (state.branch === undefined || !isToGo(dir, state)) return;
  await withTree(homeOf(dir), log, never, async () => {}, lockMs).catch((error: unknown) =>
    log.warn(`the branch ${basename(dir.root)} was not removed yet: ${explained(error)}`),
  );
}
