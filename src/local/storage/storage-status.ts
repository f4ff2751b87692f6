import * as v from 'valibot';
import { type Lsn, formatLsn, parseLsn } from '../../core/lsn.ts';
import type { Copying } from './copying.ts';
import { type Base, takenMs } from './layout.ts';
import { type Restorable, rangesOf } from './ranges.ts';
import type { Timeline } from './timeline.ts';
import { type Part, type TroubleKind, parts, troubleKinds } from './trouble-kinds.ts';
import type { Troubles } from './troubles.ts';
import type { Watch } from './watch.ts';

const count = v.pipe(v.number(), v.integer(), v.minValue(0));
const lsn = v.pipe(
  v.string(),
  v.check((text) => parseLsn(text) !== null),
);

const bytes = (doc: string) => v.pipe(v.number(), v.description(`${doc}, in bytes.`));
const bytesOrNull = (doc: string) => v.pipe(v.nullable(v.number()), v.description(`${doc}, in bytes.`));
const text = (doc: string) => v.pipe(v.string(), v.description(doc));
const namesOf = <K extends string>(of: Readonly<Record<K, unknown>>) => Object.keys(of) as [K, ...K[]];

const trouble = v.object({
  part: v.pipe(v.picklist(namesOf<Part>(parts)), v.description('The part that does not work.')),
  kind: v.pipe(v.picklist(namesOf<TroubleKind>(troubleKinds)), v.description('What is wrong with it.')),
  what: text('What it means, e.g. that commits wait.'),
  since: text('Since when; UTC, ends in Z.'),
  reason: text('Why, the last time.'),
  act: text('What to do.'),
  failures: v.pipe(count, v.description('How often it has failed since then.')),
});

const disk = v.object({
  path: text('Where the storage is.'),
  total_bytes: bytes('The file system'),
  free_bytes: bytes('What is free'),
  base_bytes: bytesOrNull('The base backup; null while it cannot be read'),
  wal_bytes: bytesOrNull('The stored WAL; null while it cannot be read'),
  warn_free_bytes: bytes('A warning is given below this'),
  stop_free_bytes: bytes('Writes are stopped below this'),
  level: v.pipe(
    v.picklist(['ok', 'low', 'stop']),
    v.description('`low`: a warning; `stop`: writes are stopped.'),
  ),
  fill_bytes_per_second: bytesOrNull(
    'What the last ten minutes took, each second; negative while space is freed, null before it is known',
  ),
  full_in_seconds: v.pipe(
    v.nullable(v.number()),
    v.description(
      'When the disk is full at that rate; null while it does not fill up, and when that is further away than a hundred times the time that was looked at.',
    ),
  ),
});

/** What can be restored, the oldest first. */
export const restorableRanges = v.pipe(
  v.array(
    v.object({
      from_lsn: v.pipe(lsn, v.description('The end of a base backup.')),
      from_time: text('When that was complete; UTC, ends in Z.'),
      to_lsn: v.pipe(lsn, v.description('The end of the WAL after it.')),
    }),
  ),
  v.description(
    'What can be restored, the oldest first: one range, and another one after each gap in the WAL and after each promotion. Empty while there is nothing, or it cannot be read.',
  ),
);

export type RestorableRange = v.InferOutput<typeof restorableRanges>[number];

export const restorableRange = ({ from, fromMs, to }: Restorable): RestorableRange => ({
  from_lsn: formatLsn(from),
  from_time: new Date(fromMs).toISOString(),
  to_lsn: formatLsn(to),
});

/** The body of the control plane's `GET /status`. */
export const storageStatusSchema = v.object({
  end_lsn: v.pipe(lsn, v.description('Where the stored WAL ends: every acknowledged commit is before it.')),
  restorable: v.pipe(
    v.object({
      from_lsn: v.pipe(lsn, v.description('The end of the oldest base backup that is kept.')),
      from_time: v.optional(
        v.pipe(
          v.nullable(v.string()),
          v.description('When that was complete; UTC, ends in Z. Null when its files cannot be read.'),
        ),
      ),
      to_lsn: v.pipe(lsn, v.description('The end of the stored WAL.')),
    }),
    v.description(
      'The range that a view can show, `up --at-lsn`, and that a branch can begin at; with what is between them, where there are several `restorable_ranges`.',
    ),
  ),
  restorable_ranges: v.optional(restorableRanges),
  base: v.pipe(
    v.object({
      number: v.pipe(count, v.description('Counts base backups.')),
      start_lsn: v.pipe(lsn, v.description('A start replays the WAL from here on.')),
      stop_lsn: v.pipe(lsn, v.description('Where it ended.')),
      postgres_major: v.pipe(count, v.description('The PostgreSQL that it requires.')),
      taken_at: v.pipe(
        v.nullable(v.string()),
        v.description('When it was complete; UTC, ends in Z. Null when its files cannot be read.'),
      ),
    }),
    v.description('The base backup that every start begins with.'),
  ),
  wal_bytes: v.pipe(count, v.description('WAL since the base backup, which a start must replay.')),
  wal_segment_bytes: v.pipe(count, v.description('Size of one file of WAL.')),
  compaction_at_bytes: v.pipe(
    count,
    v.description('A new base backup is taken when `wal_bytes` exceeds this.'),
  ),
  history: v.optional(
    v.pipe(
      v.nullable(
        v.object({
          keep_seconds: v.pipe(count, v.description('How long base backups and WAL are kept: `--keep`.')),
          max_bytes: bytesOrNull(
            'The most that they may take: `--keep-at-most`; null: until the disk is low',
          ),
          stored_bytes: bytes('What they take: older base backups and their WAL'),
        }),
      ),
      v.description('What is kept beside the current base backup and its WAL; null: nothing is.'),
    ),
  ),
  attached: v.pipe(v.boolean(), v.description('Whether WAL is being received from the primary.')),
  generation: v.pipe(count, v.description('The number of the compute that may write.')),
  copying: v.optional(
    v.pipe(
      v.nullable(
        v.object({
          bytes: bytes('What was sent'),
          total_bytes: bytes('All of it'),
          ms: v.pipe(v.number(), v.description('Milliseconds since it began.')),
        }),
      ),
      v.description(
        'How far the base backup of a starting primary is, unpacked; null when none is sent, and in the first two seconds.',
      ),
    ),
  ),
  troubles: v.pipe(v.array(trouble), v.description('What is wrong with the storage; also in `problems`.')),
  disk: v.pipe(v.nullable(disk), v.description('Null while the file system does not answer.')),
});

export type StorageStatus = v.InferOutput<typeof storageStatusSchema>;

export const baseStatus = (base: Base): StorageStatus['base'] => ({
  number: base.number,
  start_lsn: formatLsn(base.startLsn),
  stop_lsn: formatLsn(base.stopLsn),
  postgres_major: base.postgresMajor,
  taken_at: takenAt(base),
});

function historyStatus(timeline: Timeline): StorageStatus['history'] {
  const history = timeline.kept.status();
  if (history === null) return null;
  const { keep, storedBytes } = history;
  return { keep_seconds: keep.seconds, max_bytes: keep.maxBytes, stored_bytes: storedBytes };
}

export const restorableFrom = (oldest: Base, to_lsn: string): StorageStatus['restorable'] => ({
  from_lsn: formatLsn(oldest.stopLsn),
  from_time: takenAt(oldest),
  to_lsn,
});

function rangesIn({ dir, kept }: Timeline, end: Lsn): RestorableRange[] {
  try {
    return rangesOf(dir, kept.all, end).map(restorableRange);
  } catch {
    return [];
  }
}

function takenAt(base: Base): string | null {
  try {
    return new Date(takenMs(base)).toISOString();
  } catch {
    return null;
  }
}

export interface StatusParts {
  readonly timeline: Timeline;
  readonly troubles: Troubles;
  readonly watch: Watch;
  readonly copying: Copying;
  readonly maxWalBytes: number;
}

export function storageStatus({
  timeline,
  troubles,
  watch,
  copying,
  maxWalBytes,
}: StatusParts): StorageStatus {
  const { base, receiver, generation } = timeline;
  const known = timeline.knownEnd();
  const end = formatLsn(known);
  return {
    end_lsn: end,
    restorable: restorableFrom(timeline.kept.oldest, end),
    restorable_ranges: rangesIn(timeline, known),
    base: baseStatus(base),
    wal_bytes: timeline.walBytes(),
    wal_segment_bytes: base.walSegmentBytes,
    compaction_at_bytes: maxWalBytes,
    history: historyStatus(timeline),
    attached: receiver.attached !== null,
    generation,
    copying: copying.now,
    troubles: troubles.list(),
    disk: watch.status(),
  };
}
