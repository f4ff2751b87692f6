import { statSync } from 'node:fs';
import { linked } from '../../core/abort.ts';
import { sleep } from '../../core/clock.ts';
import { ComputeError } from '../../core/errors.ts';
import { shownBytes } from '../../core/shown.ts';
import { type Space, limitsFor, spaceAt } from '../storage/disk.ts';
import type { LocalDir } from '../state.ts';
import type { PrepareContext } from './context.ts';
import type { Source } from './source.ts';

type Limited = Pick<PrepareContext, 'dir' | 'diskLimits'>;

/** Of the data and its WAL. */
export const bytesOf = ({ base, segments }: Source): number =>
  base.tarBytes + segments.length * base.walSegmentBytes;

/** A start can only take over what is beside its data directory.
 *  @throws ComputeError `conflict` where that is a volume of its own */
export function refuseOtherDisk({ root, pgdata }: Pick<LocalDir, 'root' | 'pgdata'>): void {
  const data = statSync(pgdata, { throwIfNoEntry: false });
  if (data === undefined || data.dev === statSync(root).dev) return;
  throw new ComputeError(
    'conflict',
    `${pgdata} is on another file system than ${root}: a start could not take over what is prepared beside it`,
  );
}

/** @throws ComputeError `conflict` for what is too large, and for what would bring the disk to where the storage warns */
export async function checkRoom(
  { dir, diskLimits, mostBytes }: Limited & Pick<PrepareContext, 'mostBytes'>,
  allBytes: number,
  newBytes: number,
): Promise<void> {
  if (mostBytes !== null && allBytes > mostBytes)
    throw new ComputeError(
      'conflict',
      `the data has ${shownBytes(allBytes)}, more than --prepare-at-most allows`,
    );
  const space = await spaceAt(dir.root);
  const { warnBytes } = limitsFor(space.totalBytes, diskLimits);
  if (isShort(space, warnBytes + newBytes))
    throw new ComputeError(
      'conflict',
      `${shownBytes(newBytes)} more would leave less than ${shownBytes(warnBytes)} free`,
    );
}

const isShort = ({ freeBytes, inodesLeft }: Space, bytes: number): boolean =>
  !inodesLeft || freeBytes < bytes;

/** By default a gigabyte is left when the storage warns. */
const lookMs = 500;

/** Does what fills the disk, and ends it before the storage would have to warn: how much the WAL writes when it is replayed, and what
 *  others write meanwhile, nobody knows before.
 *  @throws ComputeError `conflict` when it was ended; what `work` throws */
export async function whileRoom<T>(
  { dir, diskLimits }: Limited,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const over = linked(signal);
  let short: unknown = null;
  const look = async (): Promise<void> => {
    for (;;) {
      await sleep(lookMs, over.signal);
      const space = await spaceAt(dir.root);
      const { warnBytes } = limitsFor(space.totalBytes, diskLimits);
      if (isShort(space, warnBytes))
        throw new ComputeError('conflict', `less than ${shownBytes(warnBytes)} were free meanwhile`);
    }
  };
  const looking = look().catch((error: unknown) => {
    if (over.signal.aborted) return;
    short = error;
    over.abort(error);
  });
  try {
    return await work(over.signal);
  } catch (error) {
    throw short ?? error;
  } finally {
    over.abort();
    over.release();
    await looking;
  }
}
