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
  let at = existsSync(path) ? printEnd(path, lines, out) : 0;
  if (!follow) {
    out.end();
    return 0;
  }
  onSignals((_, meaning) => void (meaning === 'ignore' || stop.abort()));
  while (!stop.signal.aborted) {
    await sleep(lookMs, stop.signal).catch(() => {});
    at = printFrom(path, at, out);
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

/** @returns the bytes that were printed of the file */
function printEnd(path: string, lines: number, out: Sink): number {
  const fd = openRegular(path);
  try {
    const { size } = fstatSync(fd);
    let [from, found] = [size, 0];
    const chunk = Buffer.alloc(chunkBytes);
    while (from > 0 && found <= lines) {
      const begin = Math.max(0, from - chunkBytes);
      readSync(fd, chunk, 0, from - begin, begin);
      for (let at = from - begin - 1; at >= 0 && found <= lines; at--)
        // The last line ends with one, too.
        if (chunk[at] === 10 && begin + at !== size - 1 && ++found === lines)
          return print(fd, begin + at + 1, out);
      from = begin;
    }
    return print(fd, 0, out);
  } finally {
    closeSync(fd);
  }
}

/** A log that has become shorter is a new one: the former has another name now. */
function printFrom(path: string, at: number, out: Sink): number {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size === at) return at;
  if (size === 0) return 0;
  const fd = openRegular(path);
  try {
    return print(fd, size < at ? 0 : at, out);
  } finally {
    closeSync(fd);
  }
}

function print(fd: number, from: number, out: Sink): number {
  const chunk = Buffer.alloc(chunkBytes);
  for (let at = from; ;) {
    const read = readSync(fd, chunk, 0, chunkBytes, at);
    if (read === 0) return at;
    out.write(Buffer.from(chunk.subarray(0, read)));
    at += read;
  }
}
