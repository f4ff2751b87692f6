import { closeSync, fstatSync, readSync } from 'node:fs';
import { openRegular } from '../../process/regular-file.ts';

/** Of one reading: what a very talkative program has written beyond it is skipped. */
const mostBytes = 1024 * 1024;
const longestLine = 2000;

/** Follows a log file by its path, also when another file takes its place. */
export class LogTail {
  readonly #path: string;
  #file: number | null = null;
  #offset = 0;
  #rest = '';

  constructor(path: string) {
    this.#path = path;
  }

  /** The whole lines that have been added since the last call; the first call reads the end of the file. Never throws: a log
   *  that cannot be read has no lines. */
  read(): string[] {
    try {
      const fd = openRegular(this.#path);
      try {
        return this.#linesOf(fd);
      } finally {
        closeSync(fd);
      }
    } catch {
      return [];
    }
  }

  #linesOf(fd: number): string[] {
    const { ino, size } = fstatSync(fd);
    if (ino !== this.#file || size < this.#offset) {
      this.#file = ino;
      this.#offset = 0;
      this.#rest = '';
    }
    const from = Math.max(this.#offset, size - mostBytes);
    const skipped = from > this.#offset;
    const bytes = Buffer.alloc(size - from);
    const read = readSync(fd, bytes, 0, bytes.length, from);
    this.#offset = from + read;
    const lines = `${skipped ? '' : this.#rest}${bytes.toString('utf8', 0, read)}`.split('\n');
    // The last one may continue, and the first one may have begun before.
    this.#rest = (lines.pop() ?? '').slice(-longestLine);
    return lines.slice(skipped ? 1 : 0).map((line) => line.slice(0, longestLine));
  }
}
