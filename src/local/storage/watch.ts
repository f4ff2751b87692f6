import { monotonicMs, withDeadline } from '../../core/clock.ts';
import { repeat } from '../../core/retry.ts';
import { shownBytes } from '../../core/shown.ts';
import {
  type DiskLevel,
  type DiskLimits,
  FillRate,
  type GivenLimits,
  type Space,
  levelOf,
  limitsFor,
  spaceAt,
} from './disk.ts';
import type { Timeline } from './timeline.ts';
import type { Troubles } from './troubles.ts';

export interface WatchOptions {
  /** The storage's directory. */
  readonly path: string;
  readonly timeline: Timeline;
  readonly troubles: Troubles;
  readonly limits: GivenLimits;
}

/** The storage's disk, for `status`. */
export interface DiskStatus {
  readonly path: string;
  readonly total_bytes: number;
  readonly free_bytes: number;
  /** The size of the base backup and of the stored WAL; null while it cannot be read. */
  readonly base_bytes: number | null;
  readonly wal_bytes: number | null;
  readonly warn_free_bytes: number;
  readonly stop_free_bytes: number;
  readonly level: DiskLevel;
  /** Over the last ten minutes; negative while space is freed; null before it is known. */
  readonly fill_bytes_per_second: number | null;
  /** Null while it does not fill up, or not soon. */
  readonly full_in_seconds: number | null;
}

const everyMs = 1000;
/** While no compute writes, the WAL is looked at once in so many looks: a compute that sleeps costs next to nothing. */
const idleLooks = 10;
const statMs = 10_000;

interface Seen {
  readonly space: Space;
  readonly limits: DiskLimits;
}

/** Looks every second at the storage's disk, and whether its WAL is complete. */
export class Watch {
  readonly #options: WatchOptions;
  readonly #rate = new FillRate();
  #seen: Seen | null = null;
  #level: DiskLevel = 'ok';
  #gapSeen = false;
  #looks = 0;

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  get level(): DiskLevel {
    return this.#level;
  }

  get freeBytes(): number | null {
    return this.#seen?.space.freeBytes ?? null;
  }

  /** Null before the first look, and while the file system does not answer. */
  status(): DiskStatus | null {
    if (this.#seen === null) return null;
    const { space, limits } = this.#seen;
    const { timeline } = this.#options;
    const stored = storedIn(timeline);
    return {
      path: this.#options.path,
      total_bytes: space.totalBytes,
      free_bytes: space.freeBytes,
      base_bytes: stored.base,
      wal_bytes: stored.wal,
      warn_free_bytes: limits.warnBytes,
      stop_free_bytes: limits.stopBytes,
      level: this.#level,
      fill_bytes_per_second: this.#rate.bytesPerSecond,
      full_in_seconds: this.#rate.secondsUntilFull(space.freeBytes),
    };
  }

  /** Until `signal` aborts. Never rejects. */
  run(signal: AbortSignal): Promise<void> {
    const look = async (): Promise<number> => {
      await this.lookAtDisk(signal);
      if (this.#options.timeline.receiver.attached !== null || this.#looks++ % idleLooks === 0)
        this.#lookAtWal();
      return everyMs;
    };
    return repeat(look, signal, () => everyMs);
  }

  /** A file system that does not answer counts as one with an error. */
  async lookAtDisk(signal: AbortSignal): Promise<void> {
    const { path, troubles, limits: given } = this.#options;
    let space: Space;
    try {
      space = await withDeadline(`looking at the disk of ${path}`, statMs, signal, () => spaceAt(path));
    } catch (error) {
      signal.throwIfAborted();
      this.#seen = null;
      troubles.failedWith('files', error);
      return;
    }
    const limits = limitsFor(space.totalBytes, given);
    this.#seen = { space, limits };
    this.#rate.add(monotonicMs(), space.freeBytes);
    this.#level = levelOf(space, limits, this.#level);
    if (this.#level === 'ok') troubles.works('disk');
    else troubles.failed('disk', this.#level === 'stop' ? 'writes_stopped' : 'disk_low', this.#shortOf());
  }

  #shortOf(): string {
    const { space, limits } = this.#seen as Seen;
    const { path } = this.#options;
    if (!space.inodesLeft) return `${path} has no inodes left: no file can be created there`;
    const limit = this.#level === 'stop' ? limits.stopBytes : limits.warnBytes;
    return `${shownBytes(space.freeBytes)} of ${shownBytes(space.totalBytes)} are free at ${path}, and the limit is ${shownBytes(limit)}`;
  }

  /** A segment that is renamed at that moment looks like a gap, so that it must be seen twice. */
  #lookAtWal(): void {
    const { timeline, troubles } = this.#options;
    let missing: string | null;
    try {
      missing = timeline.missingWal();
    } catch (error) {
      troubles.failedWith('files', error);
      return;
    }
    if (this.#seen !== null) troubles.works('files');
    if (missing === null) troubles.works('wal');
    else if (this.#gapSeen) troubles.failed('wal', 'wal_gap', missing);
    this.#gapSeen = missing !== null;
  }
}

function storedIn(timeline: Timeline): { readonly base: number | null; readonly wal: number | null } {
  try {
    return timeline.storedBytes();
  } catch {
    return { base: null, wal: null };
  }
}
