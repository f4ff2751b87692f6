import { never } from '../../core/abort.ts';
import { ComputeError } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import { renameDurable } from '../../process/files.ts';
import { lockDir } from '../lock.ts';
import { mainName } from '../names.ts';
import { nodeNames } from '../nodes.ts';
import { inspectDir } from '../own.ts';
import { type LocalDir, commandFor, readState, writeState } from '../state.ts';
import { stopDir } from '../stop-dir.ts';
import { heldTimelines } from '../storage/layout.ts';
import { forkInto } from './build.ts';
import { silent } from './end.ts';
import { interruptible } from './interrupt.ts';
import { withTree } from './lock.ts';
import { type Output, printPlace, progressOf, resultOf } from './output.ts';
import { removeBranch } from './remove.ts';
import { type RunOptions, asStarted, startInBackground } from './start.ts';
import {
  type BranchEntry,
  type Damaged,
  branchDir,
  childrenOf,
  findBranch,
  isNode,
  isRunning,
  listBranches,
  missing,
  placeOf,
  readBranch,
  requireFreeName,
  requireName,
} from './tree.ts';

/** Of main, for what removes its data. */
const onlyWhole = (dir: LocalDir, what: string): ComputeError =>
  new ComputeError('usage', `main cannot be ${what}`, {
    hint: `to delete it with all its data and all branches: ${commandFor(dir, 'reset')}`,
  });

/** `delete NAME`. One that is missing is a success. */
export async function remove(dir: LocalDir, name: string, options: Output, log: Log): Promise<number> {
  if (name === mainName) throw onlyWhole(dir, 'deleted');
  requireName(name);
  if (nodeNames(dir).includes(name)) throw isNode(dir, name);
  const nothing = inspectDir(dir, 'stop').kind === 'new';
  const kept = nothing
    ? null
    : await withTree(dir, log, never, async () => {
        const found = findBranch(dir, name);
        if (found === null) return null;
        refuseParent(dir, found, 'deleted');
        return removeBranch(dir, name, log);
      });
  const left =
    kept === null || kept.length === 0 ? '' : ` Kept what compute-local did not create: ${kept.join(', ')}.`;
  const said = kept === null ? `There is no compute with the name "${name}".` : `Deleted "${name}".${left}`;
  resultOf(options).event('deleted', { name, deleted: kept !== null, kept: kept?.length ?? 0 }, said);
  return 0;
}

/** @throws ComputeError `conflict` naming the branches that have its data */
function refuseParent(dir: LocalDir, found: BranchEntry | Damaged, what: string): void {
  const { name } = found;
  const timelines = 'state' in found ? [found.state] : heldTimelines(found.dir.storage);
  const children = timelines.flatMap(({ timelineId }) =>
    childrenOf(listBranches(dir), timelineId).map((one) => one.name),
  );
  if (children.length === 0) return;
  throw new ComputeError(
    'conflict',
    `"${name}" cannot be ${what}: ${children.join(', ')} began with its data`,
    {
      hint: `delete ${children.length === 1 ? 'that one' : 'those'} first: ${children.map((child) => commandFor(dir, `delete ${child}`)).join('; ')}`,
    },
  );
}

/** `rename NAME NEW`: data and URL stay. */
export async function rename(
  dir: LocalDir,
  name: string,
  fresh: string,
  options: Output,
  log: Log,
): Promise<number> {
  requireName(name);
  requireName(fresh);
  await withTree(dir, log, never, async () => {
    const found = readBranch(dir, name);
    if (found === null) throw missing(dir, name);
    if (name === fresh)
      throw new ComputeError('conflict', `"${name}" has that name already`, { hint: 'choose another name' });
    requireFreeName(dir, fresh);
    if (isRunning(found.dir))
      throw new ComputeError('conflict', `"${name}" cannot be renamed while it runs`, {
        hint: `stop it first: ${commandFor(dir, `stop ${name}`)}`,
      });
    await stopDir(found.dir, silent, log, never);
    const lock = await lockDir(found.dir);
    try {
      renameDurable(found.dir.root, branchDir(dir, fresh).root);
    } finally {
      await lock.release();
    }
  });
  resultOf(options).event('renamed', { name: fresh, former: name }, `"${name}" is "${fresh}" now.`);
  return 0;
}

/** `reset NAME`: the present data of its parent, under the same URL. */
export async function resetBranch(
  dir: LocalDir,
  name: string,
  options: Output & Pick<RunOptions, 'pgBinDir'>,
  log: Log,
): Promise<number> {
  if (name === mainName) throw onlyWhole(dir, 'reset to a parent: it has none');
  requireName(name);
  const progress = progressOf(options);
  const ran = await withTree(dir, log, never, async () => {
    const found = readBranch(dir, name);
    if (found === null) throw missing(dir, name);
    const { parent } = found.state.branch;
    const from = parent === null ? null : placeOf(dir, listBranches(dir), parent.timelineId);
    if (from === null) {
      const why = parent === null ? 'has no parent: it was created empty' : 'has lost its parent';
      throw new ComputeError('conflict', `"${name}" ${why}`, {
        hint: `delete it and create it again: ${commandFor(dir, `delete ${name}`)}`,
      });
    }
    refuseParent(dir, found, 'reset');
    // Beside the former one, so that the compute stands still only for a restart.
    const forked = await forkInto(from, 'end', found.dir.storage);
    const running = isRunning(found.dir);
    if (running) progress.progress(`Stopping "${name}" ...`, '');
    await stopDir(found.dir, silent, log, never);
    const lock = await lockDir(found.dir);
    try {
      const now = readState(found.dir) ?? found.state;
      const { tenantId, timelineId, systemId, origin } = forked;
      writeState(found.dir, {
        ...now,
        tenantId,
        timelineId,
        systemId,
        branch: { ...found.state.branch, parent: origin },
      });
    } finally {
      await lock.release();
    }
    progress.event(
      'reset',
      { name, from: from.name, lsn: forked.origin.lsn },
      `"${name}" has the data of ${from.name} at ${forked.origin.lsn}.`,
    );
    return running ? asStarted(found.state) : null;
  });
  // Removes the former data.
  await withTree(dir, log, never, async () => {});
  if (ran)
    await interruptible((signal) =>
      startInBackground(
        branchDir(dir, name),
        { ...ran, pgBinDir: options.pgBinDir ?? ran.pgBinDir },
        progress,
        signal,
      ),
    );
  return printPlace(dir, name, options);
}
