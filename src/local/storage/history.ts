import { statSync } from 'node:fs';
import { repeat } from '../../core/retry.ts';
import { type Base, takenMs } from './layout.ts';
import { sizeOf } from './segment-files.ts';

/** How much of the history is kept beside the current base backup and its WAL. */
export interface Keep {
  readonly seconds: number;
  /** The most that older base backups and their WAL may take; null: until the disk is low. */
  readonly maxBytes: number | null;
}

/** A base backup as the history sees it. */
export interface Aged {
  readonly takenMs: number;
  /** Its own files, and the WAL from its start to that of the next one. */
  readonly bytes: number;
  /** A branch has the same files: removing them frees nothing. */
  readonly isShared: boolean;
}

export interface HistoryLimits {
  readonly keep: Keep | null;
  readonly nowMs: number;
  /** The disk is nearly full: the oldest goes, one at a time. */
  readonly diskIsLow: boolean;
}

/** Index of the oldest base backup to keep: the last one that was complete when the kept time began, so that every moment since can
 *  be restored; a later one where the older ones take too much.
 *  @param bases the oldest first; the last one is the current one, which is always kept */
export function oldestKept(bases: readonly Aged[], { keep, nowMs, diskIsLow }: HistoryLimits): number {
  const current = bases.length - 1;
  if (keep === null) return current;
  const beginMs = nowMs - keep.seconds * 1000;
  let oldest = Math.max(
    0,
    bases.findLastIndex((base) => base.takenMs <= beginMs),
  );
  if (diskIsLow && bases[0]?.isShared !== true) oldest = Math.max(oldest, 1);
  const bytesFrom = (from: number): number =>
    bases.slice(from, current).reduce((sum, { bytes }) => sum + bytes, 0);
  while (keep.maxBytes !== null && oldest < current && bytesFrom(oldest) > keep.maxBytes) oldest++;
  return Math.min(oldest, current);
}

/** Base backups, the oldest first, with their age and size. */
export const agedBases = (bases: readonly Base[]): Aged[] =>
  bases.map((base, at) => ({
    takenMs: takenOrNow(base),
    bytes: sizeOf(base.file) + walUntil(base, bases[at + 1]),
    isShared: (statSync(base.file, { throwIfNoEntry: false })?.nlink ?? 1) > 1,
  }));

/** One whose age cannot be read is not old enough to be removed for it. */
function takenOrNow(base: Base): number {
  try {
    return takenMs(base);
  } catch {
    return Date.now();
  }
}

const walUntil = (base: Base, next: Base | undefined): number =>
  next === undefined || next.startLsn < base.startLsn ? 0 : Number(next.startLsn - base.startLsn);

const lookMs = 5000;

/** Removes what has become too old, until `signal` aborts. Never rejects.
 *  @param remove what is not to be kept; a failure is that of one look */
export async function keepHistory(remove: () => void, keep: Keep | null, signal: AbortSignal): Promise<void> {
  if (keep === null) return;
  const look = async (): Promise<number> => {
    remove();
    return lookMs;
  };
  await repeat(look, signal, () => lookMs);
}
