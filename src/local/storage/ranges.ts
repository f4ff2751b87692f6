import { ComputeError } from '../../core/errors.ts';
import { type Lsn, formatLsn } from '../../core/lsn.ts';
import { type Base, type Bases, type TimelineDir, storedBases, takenMs, walDir } from './layout.ts';
import {
  firstMissing,
  firstSegmentOf,
  listSegments,
  segmentAfterGap,
  segmentName,
  segmentsFrom,
} from './segments.ts';
import { WalEnd } from './wal-end.ts';

/** What can be restored, or a part of it. */
export interface Restorable {
  readonly from: Lsn;
  /** When its first base backup was complete, in milliseconds since 1970. */
  readonly fromMs: number;
  readonly to: Lsn;
}

/** The oldest first. @throws ComputeError `local_storage` when there is none */
export function basesOf(dir: TimelineDir): Bases {
  const bases = storedBases(dir);
  if (bases !== null) return bases;
  throw new ComputeError('local_storage', `there is no base backup in ${dir.root}`, {
    hint: 'restore the storage from a backup',
  });
}

/** Where the WAL after a base backup ends, or has a gap. */
export const endOf = (dir: TimelineDir, base: Base): Lsn =>
  new WalEnd(walDir(dir, base.timeline), base.walSegmentBytes, base.startLsn, base.timeline).find() ??
  base.stopLsn;

/** Name of the first segment that is missing after a base backup, while later ones are there; null: none is. */
export const gapAfter = (dir: TimelineDir, base: Base): string | null =>
  segmentAfterGap(walDir(dir, base.timeline), base.walSegmentBytes, firstSegmentOf(base), base.timeline);

/** Which WAL a start from a base backup requires that is not there; null when it is complete.
 *  @throws the system's error when its directory cannot be read */
export function missingWalOf(dir: TimelineDir, base: Base): string | null {
  const { walSegmentBytes, timeline } = base;
  const [wal, first] = [walDir(dir, timeline), firstSegmentOf(base)];
  if (segmentsFrom(wal, walSegmentBytes, first, timeline)?.length) return null;
  const segments = listSegments(wal, walSegmentBytes, timeline);
  const missing = segmentName(firstMissing(segments, first), walSegmentBytes, timeline);
  return `the WAL in ${wal} has a gap: ${missing} is missing or incomplete`;
}

/** From the oldest base backup to the end of the stored WAL. @throws ComputeError `local_storage` when there is none */
export function restorableOf(dir: TimelineDir): Restorable {
  const bases = basesOf(dir);
  const [oldest] = bases;
  return { from: oldest.stopLsn, fromMs: takenMs(oldest), to: endOf(dir, bases.at(-1) as Base) };
}

/** The parts of that, the oldest first: after a gap in the WAL, and after a promotion, it goes on with the next base backup.
 *  @param known where the WAL after the current base backup ends; null: it is looked for
 *  @throws as `basesOf`; the system's error */
export function rangesOf(
  dir: TimelineDir,
  bases: Bases = basesOf(dir),
  known: Lsn | null = null,
): readonly Restorable[] {
  const ranges: Restorable[] = [];
  const current = bases.at(-1) as Base;
  const isKnown = (base: Base): boolean =>
    base === current || (base.timeline === current.timeline && gapAfter(dir, base) === null);
  let timeline = 0;
  for (const base of bases) {
    const last = ranges.at(-1);
    // Its WAL is that of the base backup before it, and was followed to its end.
    if (last !== undefined && base.timeline === timeline && base.stopLsn <= last.to) continue;
    const to = known !== null && isKnown(base) ? known : endOf(dir, base);
    ranges.push({ from: base.stopLsn, fromMs: takenMs(base), to });
    timeline = base.timeline;
  }
  return ranges;
}

const shown = ({ from, fromMs, to }: Restorable): string =>
  `${formatLsn(from)} (${new Date(fromMs).toISOString()}) to ${formatLsn(to)}`;

/** For a message: `… to …, and … to … (now) can be restored`. */
export const shownRanges = (dir: TimelineDir): string =>
  `${rangesOf(dir).map(shown).join(', and ')} (now) can be restored`;
