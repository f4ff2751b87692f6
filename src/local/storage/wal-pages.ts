import { closeSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { firstTimeline, segmentName } from './segments.ts';
import { openRegular } from '../../process/regular-file.ts';

export const pageBytes = 8192;
const shortHeader = 24;
const longHeader = 40;

/** Flags of a page header. @see src/include/access/xlog_internal.h of PostgreSQL */
const firstIsContrecord = 0x0001;
const isLong = 0x0002;
const firstIsOverwrite = 0x0008;

export interface WalPage {
  readonly bytes: Buffer;
  readonly headerBytes: number;
  /** Remaining bytes of a record that began on an earlier page; 0 when there is none. */
  readonly remaining: number;
  /** The record that began on the previous page was abandoned, as the first record here states. */
  readonly overwrites: boolean;
}

/** Reads received WAL page by page. Positions are plain numbers: exact up to 8 PB of WAL. */
export class WalPages {
  readonly segmentBytes: number;
  readonly #dir: string;
  readonly #timeline: number;
  #open: { readonly number: number; readonly fd: number } | null = null;
  #last: { readonly at: number; readonly page: WalPage } | null = null;

  constructor(dir: string, segmentBytes: number, timeline = firstTimeline) {
    this.#dir = dir;
    this.#timeline = timeline;
    this.segmentBytes = segmentBytes;
  }

  /** The page that begins at `at`; null when it does not exist or is not a valid page for this position. */
  page(at: number): WalPage | null {
    if (this.#last?.at === at) return this.#last.page;
    const page = this.#parse(at);
    if (page !== null) this.#last = { at, page };
    return page;
  }

  close(): void {
    if (this.#open !== null) closeSync(this.#open.fd);
    this.#open = null;
    this.#last = null;
  }

  #parse(at: number): WalPage | null {
    const fd = this.#segment(Math.floor(at / this.segmentBytes));
    if (fd === null) return null;
    const bytes = Buffer.allocUnsafe(pageBytes);
    if (readSync(fd, bytes, 0, pageBytes, at % this.segmentBytes) < pageBytes) return null;
    const info = bytes.readUInt16LE(2);
    const long = at % this.segmentBytes === 0;
    // Of the page that a promotion lies in, the beginning is of the former PG timeline.
    if (bytes[1] !== 0xd1 || bytes.readUInt32LE(4) > this.#timeline) return null;
    if (Number(bytes.readBigUInt64LE(8)) !== at || Boolean(info & isLong) !== long) return null;
    if (long && bytes.readUInt32LE(32) !== this.segmentBytes) return null;
    return {
      bytes,
      headerBytes: long ? longHeader : shortHeader,
      remaining: info & firstIsContrecord ? bytes.readUInt32LE(16) : 0,
      overwrites: Boolean(info & firstIsOverwrite),
    };
  }

  #segment(number: number): number | null {
    if (this.#open?.number === number) return this.#open.fd;
    this.close();
    const path = join(this.#dir, segmentName(number, this.segmentBytes, this.#timeline));
    // The receiver may rename the partial file at any moment, so the complete file is tried once more after it.
    for (const name of [path, `${path}.partial`, path]) {
      try {
        const fd = openRegular(name);
        this.#open = { number, fd };
        return fd;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
    }
    return null;
  }
}
