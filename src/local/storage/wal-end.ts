import { type Lsn } from '../../core/lsn.ts';
import { crc32c } from './crc32c.ts';
import { firstTimeline, listSegments } from './segments.ts';
import { WalPages, pageBytes } from './wal-pages.ts';

const headerBytes = 24;
const crcAt = 20;
const maxRecordBytes = 1020 * 1024 * 1024;
const align = (value: number): number => Math.ceil(value / 8) * 8;

/** The end of a valid WAL record, and where that record began. */
interface Position {
  readonly end: number;
  readonly previous: number | null;
}

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

function follow(pages: WalPages, from: Position): Position {
  for (let position = from; ;) {
    const next = readRecord(pages, position);
    if (next === null) return position;
    position = next;
  }
}

/** Where the first record of a segment begins, after the rest of one from the previous segment; null without one. */
function firstRecord(pages: WalPages, segmentStart: number): number | null {
  for (let at = segmentStart; at < segmentStart + pages.segmentBytes; at += pageBytes) {
    const page = pages.page(at);
    if (page === null) return null;
    const begin = page.headerBytes + align(page.remaining);
    if (begin < pageBytes) return at + begin;
    if (begin === pageBytes) return at + pageBytes;
  }
  return null;
}

/** The end of the record that begins at `from.end`, null when no valid record does (yet). */
function readRecord(pages: WalPages, from: Position): Position | null {
  let at = from.end - (from.end % pageBytes);
  let page = pages.page(at);
  if (page === null) return null;
  if (from.end % pageBytes !== 0 && from.end % pageBytes < page.headerBytes) return null;
  let offset = Math.max(from.end - at, page.headerBytes);
  if (from.end === at && page.remaining > 0) return null;
  const start = at + offset;
  const total = page.bytes.readUInt32LE(offset);
  if (total < headerBytes || total > maxRecordBytes) return null;
  // Not kept: a record may have a gigabyte.
  const header = Buffer.alloc(headerBytes);
  let crc = 0;
  for (let got = 0; ;) {
    const part = page.bytes.subarray(offset, Math.min(pageBytes, offset + total - got));
    const ofHeader = part.copy(header, Math.min(got, headerBytes));
    crc = crc32c(part.subarray(ofHeader), crc);
    const begins = got === 0;
    got += part.length;
    offset += part.length;
    // Check the header before using its length, which may be garbage.
    if (begins && !plausible(part, from)) return null;
    if (got === total) break;
    at += pageBytes;
    page = pages.page(at);
    if (page === null) return null;
    // A new writer found the record incomplete and continued here.
    if (page.overwrites) return readRecord(pages, { end: at, previous: from.previous });
    if (page.remaining !== total - got) return null;
    offset = page.headerBytes;
  }
  if (!plausible(header, from) || !intact(header, crc)) return null;
  const end = at + align(offset);
  return { end: isSwitch(header) ? nextSegment(end, pages.segmentBytes) : end, previous: start };
}

/** The back link must point to the previous record. A header that crosses the page end is checked once it is complete. */
function plausible(record: Buffer, from: Position): boolean {
  if (record.length < 16 || from.previous === null) return true;
  return Number(record.readBigUInt64LE(8)) === from.previous;
}

/** The checksum covers the data first, then the header up to the checksum itself. */
const intact = (header: Buffer, crcOfData: number): boolean =>
  crc32c(header.subarray(0, crcAt), crcOfData) === header.readUInt32LE(crcAt);

/** XLOG_SWITCH of resource manager 0: the rest of its segment is empty. */
const isSwitch = (header: Buffer): boolean => header[17] === 0 && ((header[16] as number) & 0xf0) === 0x40;

const nextSegment = (end: number, segmentBytes: number): number =>
  Math.ceil(end / segmentBytes) * segmentBytes;
