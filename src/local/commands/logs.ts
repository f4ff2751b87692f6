import { closeSync, existsSync, fstatSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { sleep } from '../../core/clock.ts';
import { ComputeError } from '../../core/errors.ts';
import { openRegular } from '../../process/regular-file.ts';
import { onSignals } from '../../process/signals.ts';
import type { LocalDir } from '../state.ts';

export interface LogOptions {
  readonly follow: boolean;
  readonly lines: number;
  readonly storage: boolean;
  /** One object per line. */
  readonly json: boolean;
}

const chunkBytes = 64 * 1024;
const lookMs = 200;

/** Prints the end of a log, and with `follow` what is added, until a signal.
 *  @throws ComputeError `not_found` before the first start */
export async function logs(dir: LocalDir, { follow, lines, storage, json }: LogOptions): Promise<number> {
  const path = join(dir.log, `${storage ? 'storage' : 'compute_ctl'}.log`);
  if (!existsSync(path) && !follow)
    throw new ComputeError('not_found', `there is no log yet: ${path}`, {
      hint: 'it begins with the first start',
    });
  const stop = new AbortController();
  process.stdout.on('error', () => stop.abort());
  const out = json ? objects() : asItIs;
  const followed = new Followed(path, out);
  try {
    followed.begin(lines);
    if (follow) {
      onSignals((_, meaning) => void (meaning === 'ignore' || stop.abort()));
      while (!stop.signal.aborted) {
        await sleep(lookMs, stop.signal).catch(() => {});
        followed.look();
      }
    }
  } finally {
    followed.close();
  }
  out.end();
  return 0;
}

/** Where the bytes of a log go. */
interface Sink {
  write(bytes: Buffer): void;
  /** What is begun is all there is. */
  end(): void;
}

const asItIs: Sink = { write: (bytes) => void process.stdout.write(bytes), end: () => {} };

function objects(): Sink {
  let rest: Buffer = Buffer.alloc(0);
  const say = (line: Buffer): void =>
    void process.stdout.write(`${JSON.stringify({ line: line.toString('utf8') })}\n`);
  return {
    write(bytes) {
      rest = Buffer.concat([rest, bytes]);
      for (let end = rest.indexOf(10); end !== -1; end = rest.indexOf(10)) {
        say(rest.subarray(0, end));
        rest = rest.subarray(end + 1);
      }
    },
    end() {
      if (rest.length > 0) say(rest);
    },
  };
}

/** A log that grows. When it gets another name, because it is large, what is left of it comes before what is in the new one. */
export class Followed {
  readonly #path: string;
  readonly #out: Sink;
  #open: { readonly fd: number; readonly ino: number; at: number } | null = null;

  constructor(path: string, out: Sink) {
    this.#path = path;
    this.#out = out;
  }

  /** Prints the last lines of what is there. */
  begin(lines: number): void {
    if (existsSync(this.#path)) this.#openAt((fd, size) => beginOfLast(fd, size, lines));
  }

  /** Prints what was added. */
  look(): void {
    this.#print();
    const now = statSync(this.#path, { throwIfNoEntry: false })?.ino;
    if (now === undefined || now === this.#open?.ino) return;
    this.#print();
    this.close();
    this.#openAt(() => 0);
  }

  close(): void {
    if (this.#open !== null) closeSync(this.#open.fd);
    this.#open = null;
  }

  #openAt(from: (fd: number, size: number) => number): void {
    const fd = openRegular(this.#path);
    const { ino, size } = fstatSync(fd);
    this.#open = { fd, ino, at: from(fd, size) };
    this.#print();
  }

  #print(): void {
    const open = this.#open;
    if (open === null) return;
    // Somebody has emptied it.
    if (fstatSync(open.fd).size < open.at) open.at = 0;
    const chunk = Buffer.alloc(chunkBytes);
    for (;;) {
      const read = readSync(open.fd, chunk, 0, chunkBytes, open.at);
      if (read === 0) return;
      this.#out.write(Buffer.from(chunk.subarray(0, read)));
      open.at += read;
    }
  }
}

/** Where the last lines of a file begin, in bytes. */
function beginOfLast(fd: number, size: number, lines: number): number {
  let [from, found] = [size, 0];
  const chunk = Buffer.alloc(chunkBytes);
  while (from > 0) {
    const begin = Math.max(0, from - chunkBytes);
    readSync(fd, chunk, 0, from - begin, begin);
    for (let at = from - begin - 1; at >= 0; at--)
      // The last line ends with one, too.
      if (chunk[at] === 10 && begin + at !== size - 1 && ++found === lines) return begin + at + 1;
    from = begin;
  }
  return 0;
}
