import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { ComputeError } from '../core/errors.ts';
import { type ExtractOptions, Extractor } from './extract.ts';
import { TarError, TarReader } from './tar.ts';

export interface UnpackOptions extends ExtractOptions {
  /** False for a plain tar. */
  readonly gzip: boolean;
}

export interface UnpackResult {
  readonly files: number;
  /** Content of the files, unpacked. */
  readonly bytes: number;
  /** Every file written, relative to the directory. */
  readonly names: ReadonlySet<string>;
}

/** zlib's default of 16 KiB makes node's inflate two to three times slower. */
const inflateBytes = 256 * 1024;

/** Unpacks an archive while it arrives, holding no more than a few pieces of it. Reads `source` to its very end,
 *  past the end mark of the archive, and so sees errors that are reported there. What was written before a failure
 *  stays: the caller empties the directory.
 *  @throws ComputeError `archive_invalid`: damaged, cut off, or hostile (then a `HostileArchive`);
 *  `pgdata_refused`: the disk is full or the like; what `source` throws passes through */
export async function unpack(
  source: AsyncIterable<Buffer>,
  options: UnpackOptions,
  signal: AbortSignal,
): Promise<UnpackResult> {
  const extractor = new Extractor(options);
  const reader = new TarReader(extractor);
  const read = async (pieces: AsyncIterable<Buffer>): Promise<void> => {
    for await (const piece of pieces) reader.push(piece);
  };
  try {
    if (options.gzip) {
      const input = Readable.from(source, { objectMode: true });
      await pipeline(input, createGunzip({ chunkSize: inflateBytes }), read, { signal });
    } else await pipeline(source, read, { signal });
    reader.end();
    extractor.finish();
  } catch (error) {
    throw explain(error);
  } finally {
    extractor.abandon();
  }
  return { files: extractor.files, bytes: extractor.bytes, names: extractor.names };
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
