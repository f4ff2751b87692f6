import { monotonicMs } from '../../core/clock.ts';

/** How far a copy of the data has come. */
export interface Copied {
  readonly bytes: number;
  readonly total_bytes: number;
  /** Milliseconds since it has begun. */
  readonly ms: number;
}

/** Of shorter copies nothing is said. */
const quietMs = 2000;
const everyMs = 500;

/** Tells twice a second how far it is.
 *  @returns to be called with all bytes that were copied so far */
export function tellCopied(totalBytes: number, tell: (copied: Copied) => void): (bytes: number) => void {
  const startMs = monotonicMs();
  let nextMs = startMs + quietMs;
  return (bytes) => {
    const nowMs = monotonicMs();
    if (nowMs < nextMs) return;
    nextMs = nowMs + everyMs;
    tell({
      bytes: Math.min(Math.round(bytes), totalBytes),
      total_bytes: totalBytes,
      ms: Math.round(nowMs - startMs),
    });
  };
}

/** What the storage sends to the compute that is to write. */
export class Copying {
  readonly #tell: (copied: Copied) => void;
  #now: Copied | null = null;

  constructor(tell: (copied: Copied) => void) {
    this.#tell = tell;
  }

  /** Null when nothing is sent, or not for long yet. */
  get now(): Copied | null {
    return this.#now;
  }

  /** Passes a copy on, and counts it.
   *  @param unpacked how much of the data the first so many bytes of it are */
  async *counted(
    copy: AsyncIterable<Buffer>,
    totalBytes: number,
    unpacked: (bytes: number) => number,
  ): AsyncGenerator<Buffer> {
    const tell = tellCopied(totalBytes, (copied) => {
      this.#now = copied;
      this.#tell(copied);
    });
    let bytes = 0;
    try {
      for await (const chunk of copy) {
        yield chunk;
        bytes += chunk.length;
        tell(unpacked(bytes));
      }
    } finally {
      this.#now = null;
    }
  }
}
