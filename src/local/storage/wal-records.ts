import { crc32c } from './crc32c.ts';
import { type WalPages, pageBytes } from './wal-pages.ts';

const headerBytes = 24;
const crcAt = 20;
const maxRecordBytes = 1020 * 1024 * 1024;
const align = (value: number): number => Math.ceil(value / 8) * 8;
/** Enough for the header and the time of a commit. */
const keptBytes = 64;

/** The end of a valid WAL record, and where that record began. */
export interface Position {
  readonly end: number;
  readonly previous: number | null;
}

export interface WalRecord extends Position {
  /** The beginning of the record. */
  readonly head: Buffer;
}

/** @param until called with each record; true: stop before it */
export function follow(
  pages: WalPages,
  from: Position,
  until: (record: WalRecord) => boolean = () => false,
): Position {
  for (let position = from; ;) {
    const next = readRecord(pages, position);
    if (next === null || until(next)) return position;
    position = next;
  }
}

/** Where the first record of a segment begins, after the rest of one from the previous segment; null without one. */
export function firstRecord(pages: WalPages, segmentStart: number): number | null {
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
function readRecord(pages: WalPages, from: Position): WalRecord | null {
  let at = from.end - (from.end % pageBytes);
  let page = pages.page(at);
  if (page === null) return null;
  if (from.end % pageBytes !== 0 && from.end % pageBytes < page.headerBytes) return null;
  let offset = Math.max(from.end - at, page.headerBytes);
  if (from.end === at && page.remaining > 0) return null;
  const start = at + offset;
  const total = page.bytes.readUInt32LE(offset);
  if (total < headerBytes || total > maxRecordBytes) return null;
  // The rest is not kept: a record may have a gigabyte.
  const head = Buffer.alloc(Math.min(total, keptBytes));
  let crc = 0;
  for (let got = 0; ;) {
    const part = page.bytes.subarray(offset, Math.min(pageBytes, offset + total - got));
    part.copy(head, Math.min(got, head.length));
    crc = crc32c(part.subarray(Math.max(0, headerBytes - got)), crc);
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
  if (!plausible(head, from) || !intact(head, crc)) return null;
  const end = at + align(offset);
  return { end: isSwitch(head) ? nextSegment(end, pages.segmentBytes) : end, previous: start, head };
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

/** XLOG_CHECKPOINT_SHUTDOWN and XLOG_CHECKPOINT_ONLINE of resource manager 0. @see src/include/catalog/pg_control.h */
export const isCheckpoint = ({ head }: WalRecord): boolean =>
  head[17] === 0 && [0x00, 0x10].includes((head[16] as number) & 0xf0);

const nextSegment = (end: number, segmentBytes: number): number =>
  Math.ceil(end / segmentBytes) * segmentBytes;

/** Resource manager of transactions, and its two records of commits.
 *  @see src/include/access/xact.h and xlogrecord.h of PostgreSQL */
const xact = 1;
const commits = new Set([0x00, 0x30]);
const blockId = { dataShort: 255, dataLong: 254, origin: 253, topXid: 252 } as const;
/** Milliseconds between 1970 and 2000, where PostgreSQL's clock begins. */
const epochMs = 946_684_800_000;

/** When the transaction that a record commits was committed, in milliseconds since 1970; null for every other record. */
export function commitMs({ head }: WalRecord): number | null {
  if (head[17] !== xact || !commits.has((head[16] as number) & 0x70)) return null;
  let at = headerBytes;
  if (head[at] === blockId.origin) at += 3;
  if (head[at] === blockId.topXid) at += 5;
  const dataAt = head[at] === blockId.dataShort ? at + 2 : head[at] === blockId.dataLong ? at + 5 : null;
  if (dataAt === null || dataAt + 8 > head.length) return null;
  return Number(head.readBigInt64LE(dataAt)) / 1000 + epochMs;
}
