import { formatLsn } from '../../core/lsn.ts';
import type { Timeline } from './timeline.ts';
import type { Trouble, Troubles } from './troubles.ts';
import type { DiskStatus, Watch } from './watch.ts';

/** The storage's part of `compute-local status`. */
export interface StorageStatus {
  readonly end_lsn: string;
  readonly base: { readonly number: number; readonly start_lsn: string; readonly postgres_major: number };
  readonly wal_bytes: number;
  readonly compaction_at_bytes: number;
  /** True while WAL is being received from the compute. */
  readonly attached: boolean;
  readonly generation: number;
  /** What is wrong; empty when nothing is. */
  readonly troubles: readonly Trouble[];
  /** Null while the file system does not answer. */
  readonly disk: DiskStatus | null;
}

export interface StatusParts {
  readonly timeline: Timeline;
  readonly troubles: Troubles;
  readonly watch: Watch;
  readonly maxWalBytes: number;
}

export function storageStatus({ timeline, troubles, watch, maxWalBytes }: StatusParts): StorageStatus {
  const { base, receiver, generation } = timeline;
  return {
    end_lsn: formatLsn(timeline.knownEnd()),
    base: {
      number: base.number,
      start_lsn: formatLsn(base.startLsn),
      postgres_major: base.postgresMajor,
    },
    wal_bytes: timeline.walBytes(),
    compaction_at_bytes: maxWalBytes,
    attached: receiver.attached !== null,
    generation,
    troubles: troubles.list(),
    disk: watch.status(),
  };
}
