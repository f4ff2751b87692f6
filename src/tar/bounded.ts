import { statfsSync } from 'node:fs';
import { ComputeError } from '../core/errors.ts';
import { NotRetryable } from '../core/not-retryable.ts';
import type { TarEntry, TarSink } from './read.ts';

/** What an archive may unpack to. */
export interface UnpackLimits {
  /** Bytes of all files together. */
  readonly bytes: number;
  /** Files, directories and links. */
  readonly entries: number;
  /** Bytes that stay free in the file system: for the WAL, the logs and the temporary files of the start. */
  readonly reserveBytes: number;
  /** What is unpacked, for messages. */
  readonly what: string;
  /** What to do when it is too large, or has too many entries. */
  readonly hints: { readonly bytes?: string; readonly entries?: string };
}

export const defaultUnpackLimits: UnpackLimits = {
  bytes: 1024 ** 4,
  entries: 2_000_000,
  reserveBytes: 64 * 1024 * 1024,
  what: 'the base backup',
  hints: { bytes: 'raise --basebackup-limit', entries: 'raise --basebackup-entries-limit' },
};

/** Bytes of all names together: they are kept in memory. A cluster has about 20 for each file. */
const namesBytes = 128 * 1024 * 1024;
/** The free space is looked at again after so many bytes, or when that many are not known to be free. */
const lookBytes = 32 * 1024 * 1024;

/** The least that an entry takes of a file system. */
const blockBytes = 4096;

/** Passes entries on for as long as they stay within the limits, and the file system has room for them. */
export class Bounded implements TarSink {
  readonly #sink: TarSink;
  readonly #dir: string;
  readonly #limits: UnpackLimits;
  #bytes = 0;
  #entries = 0;
  #names = 0;
  /** Bytes of the current file that are still to come. */
  #coming = 0;
  #sinceLook = Infinity;

  /** @param dir where they are unpacked to */
  constructor(sink: TarSink, dir: string, limits: Partial<UnpackLimits> = {}) {
    this.#sink = sink;
    this.#dir = dir;
    this.#limits = { ...defaultUnpackLimits, ...limits };
  }

  /** @throws NotRetryable `archive_invalid` over a limit; ComputeError `pgdata_refused` without room */
  begin(entry: TarEntry): void {
    const { bytes, entries, hints } = this.#limits;
    this.#bytes += entry.size;
    this.#entries++;
    this.#names += Buffer.byteLength(entry.name);
    if (this.#bytes > bytes) throw tooMuch(`it unpacks to more than ${bytes} bytes`, hints.bytes);
    if (this.#entries > entries) throw tooMuch(`it has more than ${entries} entries`, hints.entries);
    if (this.#names > namesBytes) throw tooMuch(`its names take more than ${namesBytes} bytes`);
    this.#coming = entry.size;
    this.#spend(entry.size + blockBytes);
    this.#sink.begin(entry);
  }

  data(piece: Buffer): void {
    this.#coming -= piece.length;
    this.#spend(0, piece.length);
    this.#sink.data(piece);
  }

  end(): void {
    this.#sink.end();
  }

  /** Looks at the free space before a file begins, and during a large one: others write to the file system, too. */
  #spend(announced: number, written = 0): void {
    this.#sinceLook += announced + written;
    if (this.#sinceLook < lookBytes) return;
    this.#sinceLook = 0;
    const { bsize, bavail } = statfsSync(this.#dir);
    const free = bsize * bavail;
    const needed = this.#coming + written + this.#limits.reserveBytes;
    if (free >= needed) return;
    throw new ComputeError(
      'pgdata_refused',
      `no space left on device (ENOSPC): unpacking ${this.#limits.what} into ${this.#dir} needs at least ${megabytes(needed)} more, and ${megabytes(free)} are free`,
      {
        hint: `free space in that file system, or make it larger; ${megabytes(this.#limits.reserveBytes)} of it stay free for the start of Postgres`,
      },
    );
  }
}

const megabytes = (bytes: number): string => `${Math.ceil(bytes / 1024 / 1024)} MB`;

const tooMuch = (why: string, hint?: string): NotRetryable =>
  new NotRetryable('archive_invalid', `the archive is refused: ${why}`, hint === undefined ? {} : { hint });
