import { type Lsn } from '../../core/lsn.ts';
import { firstTimeline, listSegments } from './segments.ts';
import { WalPages } from './wal-pages.ts';
import { type Position, firstRecord, follow } from './wal-records.ts';

/** Finds the end of the last valid record in received WAL, where Postgres's recovery would end. It is remembered: the next
 *  call reads only newer WAL.
 *  @see src/backend/access/transam/xlogreader.c of PostgreSQL, whose checks these are */
export class WalEnd {
  readonly #dir: string;
  readonly #segmentBytes: number;
  readonly #timeline: number;
  /** A known beginning of a record: the start of the base backup. */
  readonly #start: number;
  #known: Position | null = null;

  constructor(dir: string, segmentBytes: number, start: Lsn, timeline = firstTimeline) {
    this.#timeline = timeline;
    this.#dir = dir;
    this.#segmentBytes = segmentBytes;
    this.#start = Number(start);
  }

  /** The end of the last valid record, null when there is none after the start. */
  find(): Lsn | null {
    const pages = new WalPages(this.#dir, this.#segmentBytes, this.#timeline);
    try {
      this.#known = this.#search(pages);
    } finally {
      pages.close();
    }
    return this.#known === null ? null : (BigInt(this.#known.end) as Lsn);
  }

  /** The last valid record, null when there is none after the start. */
  lastRecord(): { readonly start: Lsn; readonly end: Lsn } | null {
    const end = this.find();
    const start = this.#known?.previous ?? null;
    return end === null || start === null ? null : { start: BigInt(start) as Lsn, end };
  }

  #search(pages: WalPages): Position | null {
    const first = Math.floor(this.#start / this.#segmentBytes);
    const from = this.#known === null ? -1 : Math.floor(this.#known.end / this.#segmentBytes);
    const newest = this.#newest(Math.max(first, from));
    if (newest === null) return this.#known;
    if (this.#known !== null && newest - from <= 1) return follow(pages, this.#known);
    // Too far to read it all: begin at the last segment, or before it when no record begins and ends there.
    for (let number = newest; number > Math.max(first, from); number--) {
      const begin = firstRecord(pages, number * this.#segmentBytes);
      const found = begin === null ? null : follow(pages, { end: begin, previous: null });
      if (found !== null && found.previous !== null) return found;
    }
    const found = follow(pages, this.#known ?? { end: this.#start, previous: null });
    return found.previous === null ? null : found;
  }

  /** The last segment in a row from `first` on; null when there is none at all. A file whose name is far ahead does not belong to
   *  the WAL: no recovery would come to it. */
  #newest(first: number): number | null {
    const numbers = listSegments(this.#dir, this.#segmentBytes, this.#timeline).map(({ number }) => number);
    if (numbers.length === 0) return null;
    let newest = first;
    for (const number of numbers) if (number === newest + 1) newest = number;
    return newest;
  }
}
