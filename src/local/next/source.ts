import { ComputeError } from '../../core/errors.ts';
import type { Lsn } from '../../core/lsn.ts';
import type { LocalDir, LocalState } from '../state.ts';
import { type Base, type TimelineDir, currentBase, timelineDir, walDir } from '../storage/layout.ts';
import { readWhole } from '../storage/segment-files.ts';
import { type Segment, segmentsFrom } from '../storage/segments.ts';
import { WalEnd } from '../storage/wal-end.ts';
import { WalPages } from '../storage/wal-pages.ts';
import { follow, isCheckpoint } from '../storage/wal-records.ts';

/** What the storage has on disk while nobody writes. */
export interface Source {
  readonly dir: TimelineDir;
  readonly base: Base;
  /** From the base backup on, without a gap. */
  readonly segments: readonly Segment[];
  /** Of the WAL: `start` of the last record, `end` of it all. */
  readonly last: { readonly start: Lsn; readonly end: Lsn };
}

/** @throws ComputeError `local_storage` when it is not complete */
export function readSource({ storage }: LocalDir, { tenantId, timelineId }: LocalState): Source {
  const dir = timelineDir(storage, tenantId, timelineId);
  const base = currentBase(dir);
  if (base === null) throw new ComputeError('local_storage', `there is no base backup in ${dir.root}`);
  const { walSegmentBytes, startLsn, timeline } = base;
  const wal = walDir(dir, timeline);
  const last = new WalEnd(wal, walSegmentBytes, startLsn, timeline).lastRecord();
  const segments = segmentsFrom(wal, walSegmentBytes, segmentOf(startLsn, base), timeline);
  if (last === null || segments === null)
    throw new ComputeError('local_storage', `the WAL in ${wal} is not complete`);
  return { dir, base, segments, last };
}

/** Whether the last record is a checkpoint: only then a recovery can end there with every page on disk. */
export function endsInOrder({ dir, base: { walSegmentBytes, timeline }, last }: Source): boolean {
  const pages = new WalPages(walDir(dir, timeline), walSegmentBytes, timeline);
  let found = false;
  try {
    follow(pages, { end: Number(last.start), previous: null }, (record) => {
      found = isCheckpoint(record);
      return true;
    });
  } finally {
    pages.close();
  }
  return found;
}

export const segmentOf = (lsn: Lsn, { walSegmentBytes }: Base): number =>
  Math.floor(Number(lsn) / walSegmentBytes);

export const contentOf = (segment: Segment, { walSegmentBytes }: Base): Buffer =>
  readWhole(segment, walSegmentBytes);
