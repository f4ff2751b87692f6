import { createReadStream } from 'node:fs';
import type { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { constants, createDeflateRaw, createInflateRaw, crc32 } from 'node:zlib';
import { ComputeError } from '../../core/errors.ts';
import type { Base } from './layout.ts';
import { ownFiles } from './files.ts';
import { sizeOf } from './segment-files.ts';
import type { Segment } from './segments.ts';
import { type TarEntry, writeTar } from '../../tar/write.ts';
import { readRegular } from '../../process/regular-file.ts';

/** The parts of the answer to one base backup request. */
export interface Snapshot {
  readonly base: Base;
  /** The WAL from the base backup's start to the end, without a gap. */
  readonly segments: readonly Segment[];
  /** Content of the last segment, while it is still being received. */
  readonly partial: Buffer | null;
  readonly generation: number | null;
}

/** Member header: deflate, no name, no time, unknown system. @see RFC 1952 */
const gzipHeader = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
const chunkBytes = 256 * 1024;

/** One gzip member: the stored, already compressed base backup, then the WAL and the end of the archive. This is
 *  possible because the base backup ends at a byte boundary without a final block, and CRC-32 can be continued. */
export async function* gzipArchive(snapshot: Snapshot): AsyncGenerator<Buffer> {
  const { base } = snapshot;
  yield gzipHeader;
  yield* readChunks(base.file);
  let crc = base.crc32;
  let bytes = base.tarBytes;
  const counted = async function* (): AsyncGenerator<Buffer> {
    for await (const chunk of tail(snapshot)) {
      crc = crc32(chunk, crc);
      bytes += chunk.length;
      yield chunk;
    }
  };
  // Not compressed: the receiver is on this machine, and a start waits for it.
  const deflate = createDeflateRaw({ level: constants.Z_NO_COMPRESSION, chunkSize: chunkBytes });
  yield* piped(counted(), deflate);
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(crc, 0);
  trailer.writeUInt32LE(bytes % 0x1_0000_0000, 4);
  yield trailer;
}

/** The same archive uncompressed.
 *  @throws ComputeError `local_storage` when the stored base does not match its checksum */
export async function* plainArchive(snapshot: Snapshot): AsyncGenerator<Buffer> {
  const { base } = snapshot;
  // Without a final block, zlib would report an unexpected end of the file.
  const inflate = createInflateRaw({ chunkSize: chunkBytes, finishFlush: constants.Z_SYNC_FLUSH });
  let crc = 0;
  for await (const chunk of piped(readChunks(base.file), inflate)) {
    crc = crc32(chunk, crc);
    yield chunk;
  }
  if (crc !== base.crc32) {
    throw new ComputeError('local_storage', `the base backup ${base.file} is damaged: its checksum is wrong`);
  }
  yield* tail(snapshot);
}

/** For who shows how far it is: all bytes of the plain archive, and how many of them the first bytes of what is sent are. The base
 *  backup is compressed evenly, more or less. */
export function sizesOf(
  { base, segments }: Snapshot,
  gzip: boolean,
): { readonly totalBytes: number; readonly unpacked: (sent: number) => number } {
  const totalBytes = base.tarBytes + segments.length * base.walSegmentBytes;
  const stored = gzip ? sizeOf(base.file) : base.tarBytes;
  const unpacked = (sent: number): number =>
    sent < stored ? (sent / stored) * base.tarBytes : base.tarBytes + sent - stored;
  return { totalBytes, unpacked };
}

const readChunks = (path: string): AsyncIterable<Buffer> =>
  createReadStream(path, { highWaterMark: chunkBytes });

/** The largest that PostgreSQL allows. */
const mostSegmentBytes = 1024 ** 3;

/** The entries after the base backup: files for the start, WAL, end of the archive. */
function tail({ segments, partial, generation }: Snapshot): AsyncGenerator<Buffer> {
  const mtime = new Date();
  const entry = (name: string, content: Buffer): TarEntry => ({ name, mode: 0o600, mtime, content });
  function* entries(): Generator<TarEntry> {
    for (const { name, content } of ownFiles(generation)) yield entry(name, Buffer.from(content));
    for (const segment of segments) {
      const content =
        segment.partial && partial !== null ? partial : readRegular(segment.path, mostSegmentBytes);
      yield entry(`pg_wal/${segment.name}`, content);
    }
  }
  return writeTar(entries());
}

/** Passes `source` through a transform; errors of both reach the reader. */
async function* piped(source: AsyncIterable<Buffer>, through: Transform): AsyncGenerator<Buffer> {
  const done = pipeline(source, through).catch((error: Error) => through.destroy(error));
  try {
    yield* through as AsyncIterable<Buffer>;
  } finally {
    through.destroy();
    await done;
  }
}
