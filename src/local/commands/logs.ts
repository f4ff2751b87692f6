import { closeSync, existsSync, fstatSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { StringDecoder } from 'node:string_decoder';
import { sleep } from '../../core/clock.ts';
import { ComputeError } from '../../core/errors.ts';
import { openRegular } from '../../process/regular-file.ts';
import { onSignals } from '../../process/signals.ts';
import type { LocalDir } from '../state.ts';

export interface LogOptions {
  readonly follow: boolean;
  readonly lines: number;
  readonly storage: boolean;
  /** One object per line: `{"line":"…"}`. */
  readonly json: boolean;
}

type Write = (chunk: Buffer) => void;

const plain: Write = (chunk) => void process.stdout.write(chunk);

function inLines(): Write {
  const decoder = new StringDecoder('utf8');
  let begun = '';
  return (chunk) => {
    const lines = (begun + decoder.write(chunk)).split('\n');
    begun = lines.pop() ?? '';
    process.stdout.write(lines.map((line) => `${JSON.stringify({ line })}\n`).join(''));
  };
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
  const write = json ? inLines() : plain;
  let at = existsSync(path) ? printEnd(path, lines, write) : 0;
  if (!follow) return 0;
  onSignals((_, meaning) => void (meaning === 'ignore' || stop.abort()));
  while (!stop.signal.aborted) {
    await sleep(lookMs, stop.signal).catch(() => {});
    at = printFrom(path, at, write);
  }
  return 0;
}

/** @returns the bytes that were printed of the file */
function printEnd(path: string, lines: number, write: Write): number {
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
          return print(fd, begin + at + 1, write);
      from = begin;
    }
    return print(fd, 0, write);
  } finally {
    closeSync(fd);
  }
}

/** A log that has become shorter is a new one: the former has another name now. */
function printFrom(path: string, at: number, write: Write): number {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size === at) return at;
  if (size === 0) return 0;
  const fd = openRegular(path);
  try {
    return print(fd, size < at ? 0 : at, write);
  } finally {
    closeSync(fd);
  }
}

function print(fd: number, from: number, write: Write): number {
  const chunk = Buffer.alloc(chunkBytes);
  for (let at = from; ;) {
    const read = readSync(fd, chunk, 0, chunkBytes, at);
    if (read === 0) return at;
    write(Buffer.from(chunk.subarray(0, read)));
    at += read;
  }
}
