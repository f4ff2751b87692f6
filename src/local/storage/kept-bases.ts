import { type HistoryLimits, type Keep, agedBases, oldestKept } from './history.ts';
import {
  type Base,
  type Bases,
  type TimelineDir,
  removeFormerWal,
  removeOtherBases,
  storedBases,
  unreadableBases,
  walDir,
} from './layout.ts';
import type { Leases } from './leases.ts';
import { removeBefore } from './segment-files.ts';
import { firstSegmentOf } from './segments.ts';

export interface KeptOptions {
  readonly dir: TimelineDir;
  readonly leases: Leases;
  /** What is kept beside the current base backup and its WAL. */
  readonly history: () => Pick<HistoryLimits, 'keep' | 'diskIsLow'>;
  /** Bytes of WAL before the base backup that are kept for standbys that have not read it yet. */
  readonly keptForStandbys: () => number;
}

/** The base backups of a timeline that are kept, and their WAL. */
export class KeptBases {
  readonly #options: KeptOptions;
  /** The oldest first; the current one is the last. */
  #bases: Bases;

  constructor(options: KeptOptions, current: Base) {
    this.#options = options;
    this.#bases = [current];
    this.removeOthers(current);
    removeFormerWal(options.dir, this.#bases);
  }

  /** What is from its end on can be restored. */
  get oldest(): Base {
    return this.#bases[0];
  }

  get all(): Bases {
    return this.#bases;
  }

  /** Removes all that are not to be kept, and the WAL before the oldest of each PG timeline. */
  removeOthers(current: Base): void {
    const { dir, keptForStandbys } = this.#options;
    this.#bases = this.#kept(current);
    const unreadable = this.#options.history().keep === null ? [] : unreadableBases(dir, current);
    removeOtherBases(dir, [...this.#bases, ...unreadable.map((number) => ({ number }))]);
    // Where the WAL of those begins is not known.
    if (unreadable.length > 0) return;
    const { walSegmentBytes } = current;
    const firsts = new Map<number, number>();
    for (const base of this.#bases.toReversed()) firsts.set(base.timeline, firstSegmentOf(base));
    for (const [timeline, first] of firsts) {
      const spared = timeline === current.timeline ? keptForStandbys() / walSegmentBytes : 0;
      removeBefore(walDir(dir, timeline), first - spared, walSegmentBytes, timeline);
    }
  }

  #kept(current: Base): Bases {
    const { dir, leases, history } = this.#options;
    const { keep, diskIsLow } = history();
    const stored = keep === null ? null : storedBases(dir);
    if (stored === null) return [current];
    // What static nodes read at stays.
    if (leases.any()) return stored;
    const oldest = oldestKept(agedBases(stored), { keep, diskIsLow, nowMs: Date.now() });
    return stored.slice(oldest) as unknown as Bases;
  }

  /** Null when nothing is kept beside the current one. */
  status(): { readonly keep: Keep; readonly storedBytes: number } | null {
    const { keep } = this.#options.history();
    if (keep === null) return null;
    const older = agedBases(this.#bases).slice(0, -1);
    return { keep, storedBytes: older.reduce((sum, { bytes }) => sum + bytes, 0) };
  }
}
