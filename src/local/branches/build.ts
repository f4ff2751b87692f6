import { randomBytes } from 'node:crypto';
import { closeSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { never } from '../../core/abort.ts';
import { poll } from '../../core/poll.ts';
import { ComputeError, codeOf } from '../../core/errors.ts';
import { formatLsn } from '../../core/lsn.ts';
import { openDirectory, withDirectory } from '../../process/dir-fd.ts';
import { fsyncPath, ownDir, renameDurable } from '../../process/files.ts';
import { removeMade } from '../../process/made.ts';
import { readAccepted, writeAccepted } from '../desired/accepted.ts';
import type { Branch, Origin } from '../branch.ts';
import { dirMarker, madeUnfinishedBranch } from '../made.ts';
import { portsOfBranch } from '../node-ports.ts';
import { type PortHolds, withHolds } from '../port-holds.ts';
import { type LocalDir, type LocalState, type Ports, createState, localDir } from '../state.ts';
import { type At, type ForkPoint, fork, forkPoint } from '../storage/fork.ts';
import type { Keep } from '../storage/history.ts';
import { type TimelineDir, timelineDir } from '../storage/layout.ts';
import { madeUnfinishedTimeline } from '../storage/made.ts';
import { restorableOf } from '../storage/ranges.ts';
import { type Place, branchDir, isRunning } from './tree.ts';

export interface NewBranch {
  readonly name: string;
  /** Null: an empty database, which its first start creates. */
  readonly from: { readonly place: Place; readonly at: At } | null;
  readonly keep: Keep | null;
  readonly expiresAt: string | null;
  readonly owner?: Branch['owner'];
  readonly listenAll: boolean;
  readonly ports: Partial<Ports>;
}

const newId = (): string => randomBytes(16).toString('hex');

/** Creates the directory of a branch: beside, and then by its name. The caller holds the lock of the tree.
 *  @throws ComputeError `not_found` when the parent's storage does not have that point; `conflict`; `port`; `usage` */
export const buildBranch = (dir: LocalDir, wanted: NewBranch): Promise<LocalState> =>
  // Until others see them in its local.json.
  withHolds((holds) => build(dir, wanted, holds));

async function build(dir: LocalDir, wanted: NewBranch, holds: PortHolds): Promise<LocalState> {
  const { name, from, keep, listenAll } = wanted;
  // Its path must not be too long.
  const final = localDir(branchDir(dir, name).root);
  const root = join(dir.branches, `.new-${randomBytes(4).toString('hex')}`);
  // Nothing runs in it, so that the length of its path does not matter.
  const fresh: LocalDir = { ...final, root, state: join(root, 'local.json'), storage: join(root, 'storage') };
  const ports = await portsOfBranch(final, wanted.ports, holds);
  try {
    ownDir(root, 0o755);
    const fd = openDirectory(root);
    try {
      dirMarker.put(fd);
    } finally {
      closeSync(fd);
    }
    const forked = from === null ? null : await forkInto(from.place, from.at, fresh.storage);
    const ids = forked ?? { tenantId: newId(), timelineId: newId() };
    const branch: Branch = {
      parent: forked?.origin ?? null,
      createdAt: new Date().toISOString(),
      expiresAt: wanted.expiresAt,
      ...(wanted.owner === undefined ? {} : { owner: wanted.owner }),
    };
    const { tenantId, timelineId } = ids;
    const systemId = forked === null ? {} : { systemId: forked.systemId };
    const state = createState(
      fresh,
      ports,
      { listenAll },
      { tenantId, timelineId },
      { keep, branch, ...systemId },
    );
    const accepted = from === null ? null : readAccepted(from.place.dir);
    if (accepted !== null) writeAccepted(fresh, accepted);
    fsyncPath(root);
    renameInto(root, final.root);
    return state;
  } catch (error) {
    await withDirectory(dir.branches, (fd) => removeMade(fd, [madeUnfinishedBranch], never));
    throw error;
  }
}

function renameInto(root: string, final: string): void {
  try {
    renameDurable(root, final);
  } catch (cause) {
    if (!['ENOTEMPTY', 'EEXIST', 'ENOTDIR'].includes((cause as NodeJS.ErrnoException).code ?? ''))
      throw cause;
    throw new ComputeError(
      'dir_refused',
      `${final} is there, and compute-local did not create what is in it`,
      {
        cause,
        hint: 'move it to another place, or choose another name',
      },
    );
  }
}

interface Forked {
  readonly tenantId: string;
  readonly timelineId: string;
  readonly systemId: string;
  readonly origin: Origin;
}

/** Attempts, when the parent's storage replaces its base backup meanwhile. */
const attempts = 10;
const arrivalMs = 5000;
const lookMs = 50;

/** Creates a timeline in a storage, from a point in the parent's history. It gets its name when it is complete and on disk.
 *  @throws ComputeError `not_found`, `conflict`, `local_storage` */
export async function forkInto(place: Place, at: At, storage: string): Promise<Forked> {
  const { tenantId } = place.state;
  const parent = timelineDir(place.dir.storage, tenantId, place.state.timelineId);
  if (!existsSync(parent.root))
    throw new ComputeError('conflict', `"${place.name}" has no data yet: it was never started`, {
      hint: `start it with: compute-local start ${place.name}`,
    });
  const timelineId = newId();
  const fresh = timelineDir(storage, tenantId, `${timelineId}.new`);
  for (let attempt = 1; ; attempt++) {
    try {
      ownDir(fresh.bases, 0o755);
      const point = await arrivedPoint(place, parent, at);
      fork(parent, point, fresh);
      fsyncPath(fresh.root);
      renameDurable(fresh.root, timelineDir(storage, tenantId, timelineId).root);
      fsyncPath(storage);
      return { tenantId, timelineId, systemId: point.base.systemId, origin: originOf(place, point) };
    } catch (error) {
      await withDirectory(join(storage, tenantId), (fd) => removeMade(fd, [madeUnfinishedTimeline], never));
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      if (attempt === attempts)
        throw new ComputeError('local_storage', `the storage of "${place.name}" lacks files for that point`, {
          cause: error,
          hint: 'choose a later point: the WAL has a gap there',
        });
    }
  }
}

const originOf = ({ state }: Place, { lsn }: ForkPoint): Origin => ({
  timelineId: state.timelineId,
  lsn: formatLsn(lsn),
  takenAt: new Date().toISOString(),
});

/** An LSN that a running parent has just written may not have been received yet. */
async function arrivedPoint({ dir }: Place, parent: TimelineDir, at: At): Promise<ForkPoint> {
  if (at === 'end' || !('lsn' in at) || !isRunning(dir)) return forkPoint(parent, at);
  const look = (): ForkPoint | null => {
    try {
      return forkPoint(parent, at);
    } catch (error) {
      if (codeOf(error) === 'not_found' && at.lsn > restorableOf(parent).to) return null;
      throw error;
    }
  };
  return (await poll(look, { everyMs: lookMs, limitMs: arrivalMs }, never)) ?? forkPoint(parent, at);
}
