import { createGunzip } from 'node:zlib';
import { linked } from '../core/abort.ts';
import { raceAbort } from '../core/clock.ts';
import { ComputeError } from '../core/errors.ts';
import { collectYoungGarbage } from '../core/garbage.ts';
import { Bounded, type UnpackLimits } from './bounded.ts';
import { type ExtractOptions, Extractor } from './extract.ts';
import { TarReader, type TarSink } from './read.ts';
import { TarError } from './tar-error.ts';

export interface UnpackOptions extends ExtractOptions {
  /** False for a plain tar. */
  readonly gzip: boolean;
  readonly limits?: Partial<UnpackLimits>;
  /** Looks at each entry before it is written. */
  readonly through?: (sink: TarSink) => TarSink;
}

export interface UnpackResult {
  readonly files: number;
  /** Content of the files, unpacked. */
  readonly bytes: number;
  /** Every file written, relative to the directory. */
  readonly names: ReadonlySet<string>;
}

/** zlib's default of 16 KiB makes Node's inflate two to three times slower. With pieces of less than a megabyte, the C
 *  library's allocator keeps the freed memory: 20 MB after a start. */
const inflateBytes = 1024 * 1024;

/** Compressed bytes that may be buffered for zlib, so that its thread never waits for the next message. */
const waitingBytes = 1024 * 1024;

/** Unpacked bytes after which the buffers that held them are freed. */
const droppedBytes = 4 * 1024 * 1024;

/** Unpacks an archive while it arrives, and buffers only a few pieces of it. Reads `source` to its end, also after the
 *  archive's end mark, since errors may be reported there. After a failure the files written so far stay: the caller must
 *  empty the directory.
 *  @throws ComputeError `archive_invalid`: damaged, cut off, or hostile (then a `HostileArchive`); `pgdata_refused`: the
 *  files cannot be written, e.g. the disk is full; and what `source` throws */
export async function unpack(
  source: AsyncIterable<Buffer>,
  options: UnpackOptions,
  signal: AbortSignal,
): Promise<UnpackResult> {
  const extractor = new Extractor(options);
  const { dir, limits, through = (sink) => sink } = options;
  const reader = new TarReader(new Bounded(through(extractor), dir, limits));
  let dropped = 0;
  const push = (piece: Buffer): void => {
    reader.push(piece);
    dropped += piece.length;
    if (dropped < droppedBytes) return;
    collectYoungGarbage();
    dropped = 0;
  };
  try {
    if (options.gzip) await inflate(source, push, signal);
    else for await (const piece of source) push(piece);
    reader.end();
    extractor.finish();
  } catch (error) {
    throw explain(error);
  } finally {
    extractor.close();
  }
  return { files: extractor.files, bytes: extractor.bytes, names: extractor.names };
}

/** Does not use `pipeline`, which would report the abort of a stream instead of the cause. The first failure of either
 *  side, or the abort, ends all waiting at once. */
async function inflate(
  source: AsyncIterable<Buffer>,
  push: (piece: Buffer) => void,
  signal: AbortSignal,
): Promise<void> {
  const broken = linked(signal);
  const options = { chunkSize: inflateBytes, writableHighWaterMark: waitingBytes };
  const gunzip = createGunzip(options);
  let over = false;
  let wake = (): void => {};
  gunzip.on('drain', () => wake());
  const ended = new Promise<void>((resolve) => {
    gunzip.once('end', () => {
      over = true;
      wake();
      resolve();
    });
  });
  const take = (piece: Buffer): void => {
    try {
      if (!broken.signal.aborted) push(piece);
    } catch (error) {
      broken.abort(error);
    }
  };
  gunzip.on('error', (error) => broken.abort(error));
  // A tick later, because zlib's thread continues with the next piece only after this handler has returned.
  gunzip.on('data', (piece: Buffer) => process.nextTick(take, piece));
  const chunks = source[Symbol.asyncIterator]();
  const feed = async (): Promise<void> => {
    let fed = 0;
    for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) {
      fed += next.value.length;
      if (over || gunzip.write(next.value)) continue;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
    if (!over) gunzip.end();
    await ended;
    // zlib stops without an error at a zero byte after the last member.
    if (gunzip.bytesWritten < fed) throw new TarError('there are bytes after the end of the compressed data');
  };
  try {
    await raceAbort(feed(), broken.signal);
  } finally {
    broken.release();
    gunzip.destroy();
    // Not awaited: it waits for the next piece, which may never arrive.
    chunks.return?.().catch(() => {});
  }
}

function explain(error: unknown): unknown {
  const { code } = error as { code?: unknown };
  const zlib = typeof code === 'string' && code.startsWith('Z_');
  if (zlib)
    return new ComputeError('archive_invalid', 'the compressed archive is damaged or cut off', {
      cause: error,
    });
  if (error instanceof TarError)
    return new ComputeError('archive_invalid', 'the archive is damaged', { cause: error });
  return error;
}
