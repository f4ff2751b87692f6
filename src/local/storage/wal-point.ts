import { type Lsn } from '../../core/lsn.ts';
import { WalPages } from './wal-pages.ts';
import { type Position, commitMs, firstRecord, follow } from './wal-records.ts';

/** Received WAL of one PG timeline. */
export interface StoredWal {
  readonly dir: string;
  readonly segmentBytes: number;
  readonly timeline: number;
  /** A known beginning of a record: the start of a base backup. */
  readonly start: Lsn;
}

/** The end of the last record that ends at `limit` or before; null when there is none after the start. Reads as little as it can:
 *  from the segment of `limit` backwards, until one has a whole record before it. */
export const lastRecordEnd = (wal: StoredWal, limit: Lsn): Lsn | null =>
  reading(wal, (pages) => {
    for (const begin of beginnings(pages, wal, Number(limit))) {
      if (begin > Number(limit)) continue;
      const from = { end: begin, previous: null };
      const found = follow(pages, from, ({ end }) => end > Number(limit));
      if (found.previous !== null) return BigInt(found.end) as Lsn;
    }
    return null;
  });

/** Where the WAL ends that has every commit until a moment: before the first commit after it, or at the end of the WAL, with
 *  `isLast`: no later commit was found.
 *  @param from where to look; nothing before it is read, except for the beginning of a record
 *  @param timeMs milliseconds since 1970 */
export const endBefore = (wal: StoredWal, from: Lsn, timeMs: number): { lsn: Lsn; isLast: boolean } =>
  reading(wal, (pages) => {
    let isLast = true;
    const newest = newestSegment(pages, Number(from));
    let start: Position = { end: Number(wal.start), previous: null };
    // Later segments first: most look for what was not long ago.
    for (const begin of beginnings(pages, wal, (newest + 1) * wal.segmentBytes - 1)) {
      start = { end: begin, previous: null };
      const first = firstCommit(pages, start, wal.segmentBytes);
      if (first !== null && first <= timeMs) break;
      if (begin <= Number(from)) break;
    }
    const found = follow(pages, start, (record) => {
      const time = record.end > Number(from) ? commitMs(record) : null;
      if (time !== null && time > timeMs) isLast = false;
      return !isLast;
    });
    return { lsn: BigInt(found.end) as Lsn, isLast };
  });

/** When the first transaction was committed in WAL that ends with a record at `to` or after it, in milliseconds since 1970. Null: none
 *  was; undefined: the WAL is not complete. */
export const firstCommitUntil = (wal: StoredWal, to: Lsn): number | null | undefined =>
  reading(wal, (pages) => {
    let found: number | null = null;
    let isComplete = false;
    const { end } = follow(pages, { end: Number(wal.start), previous: null }, (record) => {
      isComplete = record.end > Number(to);
      found = isComplete ? null : commitMs(record);
      return isComplete || found !== null;
    });
    return found === null && !isComplete && end < Number(to) ? undefined : found;
  });

function reading<T>({ dir, segmentBytes, timeline }: StoredWal, work: (pages: WalPages) => T): T {
  const pages = new WalPages(dir, segmentBytes, timeline);
  try {
    return work(pages);
  } finally {
    pages.close();
  }
}

/** Where the first record of each segment begins, from that of `at` down to the start. */
function* beginnings(pages: WalPages, { start, segmentBytes }: StoredWal, at: number): Generator<number> {
  const first = Math.floor(Number(start) / segmentBytes);
  for (let number = Math.floor(at / segmentBytes); number > first; number--) {
    const begin = firstRecord(pages, number * segmentBytes);
    if (begin !== null) yield begin;
  }
  yield Number(start);
}

/** The last one in a row that has a page. */
function newestSegment(pages: WalPages, from: number): number {
  let newest = Math.floor(from / pages.segmentBytes);
  while (pages.page((newest + 1) * pages.segmentBytes) !== null) newest++;
  return newest;
}

/** When the first transaction was committed that is in a segment from a record on; null: none is. */
function firstCommit(pages: WalPages, from: Position, segmentBytes: number): number | null {
  const limit = (Math.floor(from.end / segmentBytes) + 1) * segmentBytes;
  let found: number | null = null;
  follow(pages, from, (record) => {
    found = commitMs(record);
    return found !== null || record.end > limit;
  });
  return found;
}
