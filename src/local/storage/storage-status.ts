import { statSync } from 'node:fs';
import * as v from 'valibot';
import { formatLsn, parseLsn } from '../../core/lsn.ts';
import { type Base, factsFile } from './layout.ts';
import type { Timeline } from './timeline.ts';

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const lsn = v.pipe(
  v.string(),
  v.check((text) => parseLsn(text) !== null),
);

/** The body of the control plane's `GET /status`. */
export const storageStatusSchema = v.object({
  end_lsn: v.pipe(lsn, v.description('Where the stored WAL ends: every acknowledged commit is before it.')),
  restorable: v.pipe(
    v.object({
      from_lsn: v.pipe(lsn, v.description('The end of the base backup.')),
      to_lsn: v.pipe(lsn, v.description('The end of the stored WAL.')),
    }),
    v.description('The range that a view can show: `up --at-lsn`.'),
  ),
  base: v.pipe(
    v.object({
      number: v.pipe(count, v.description('Counts base backups.')),
      start_lsn: v.pipe(lsn, v.description('A start replays the WAL from here on.')),
      stop_lsn: v.pipe(lsn, v.description('Where it ended.')),
      postgres_major: v.pipe(count, v.description('The PostgreSQL that it requires.')),
      taken_at: v.pipe(v.string(), v.description('When it was complete; UTC, ends in Z.')),
    }),
    v.description('The base backup that every start begins with.'),
  ),
  wal_bytes: v.pipe(count, v.description('WAL since the base backup, which a start must replay.')),
  wal_segment_bytes: v.pipe(count, v.description('Size of one file of WAL.')),
  compaction_at_bytes: v.pipe(
    count,
    v.description('A new base backup is taken when `wal_bytes` exceeds this.'),
  ),
  attached: v.pipe(v.boolean(), v.description('Whether WAL is being received from the primary.')),
  generation: v.pipe(count, v.description('The number of the compute that may write.')),
});

export type StorageStatus = v.InferOutput<typeof storageStatusSchema>;

export const baseStatus = (base: Base): StorageStatus['base'] => ({
  number: base.number,
  start_lsn: formatLsn(base.startLsn),
  stop_lsn: formatLsn(base.stopLsn),
  postgres_major: base.postgresMajor,
  taken_at: statSync(factsFile(base.dir)).mtime.toISOString(),
});

export function storageStatus(timeline: Timeline, maxWalBytes: number): StorageStatus {
  const { base } = timeline;
  const end = formatLsn(timeline.end());
  return {
    end_lsn: end,
    restorable: { from_lsn: formatLsn(base.stopLsn), to_lsn: end },
    base: baseStatus(base),
    wal_bytes: timeline.walBytes(),
    wal_segment_bytes: base.walSegmentBytes,
    compaction_at_bytes: maxWalBytes,
    attached: timeline.receiver.attached !== null,
    generation: timeline.generation,
  };
}
