import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createZstdDecompress } from 'node:zlib';
import { HostileArchive } from '../../tar/extract.ts';
import type { TarEntry, TarSink } from '../../tar/read.ts';

const pieceBytes = 256 * 1024;

/** Decompresses a file of one or more frames: Node before 26 stops after the first one, and some programs write many.
 *  @throws Error with a code `ZSTD_…` or `Z_…` when it is damaged or cut off
 *  @see https://www.rfc-editor.org/rfc/rfc8878#name-zstandard-frames */
export async function* decompressed(path: string, signal: AbortSignal): AsyncGenerator<Buffer> {
  const { size } = await stat(path);
  for (let at = 0; at === 0 || at < size;) {
    const source = createReadStream(path, { start: at, signal });
    const inflater = createZstdDecompress({ chunkSize: pieceBytes });
    source.on('error', (error) => inflater.destroy(error));
    try {
      for await (const piece of source.pipe(inflater) as AsyncIterable<Buffer>) yield piece;
    } finally {
      source.destroy();
      inflater.destroy();
    }
    if (inflater.bytesWritten === 0) throw Object.assign(new Error('it is empty'), { code: 'Z_BUF_ERROR' });
    at += inflater.bytesWritten;
  }
}

const shareDir = 'share/extension/';
const libDir = 'lib/';
const readable = 0o444;
/** Nobody but the owner may write, and no file gets the rights of its owner or group when it runs. */
const allowed = 0o755;

/** Passes on what belongs to an extension, and leaves out the rest. Links, devices and the like are refused. */
export class OnlyExtension implements TarSink {
  readonly #sink: TarSink;
  #skips = false;

  constructor(sink: TarSink) {
    this.#sink = sink;
  }

  /** @throws HostileArchive */
  begin(entry: TarEntry): void {
    const name = entry.name
      .split('/')
      .filter((part) => part !== '' && part !== '.')
      .join('/');
    if (name.split('/').includes('..'))
      throw new HostileArchive(entry.name, 'its path leads out of the archive');
    if (entry.type !== 'file' && entry.type !== 'directory')
      throw new HostileArchive(entry.name, `it is neither a file nor a directory, but: ${entry.type}`);
    this.#skips = !name.startsWith(shareDir) && !name.startsWith(libDir);
    // Directories are created when something is in them.
    if (this.#skips || entry.type === 'directory') return void (this.#skips = true);
    this.#sink.begin({ ...entry, name, mode: (entry.mode & allowed) | readable });
  }

  data(piece: Buffer): void {
    if (!this.#skips) this.#sink.data(piece);
  }

  end(): void {
    if (!this.#skips) this.#sink.end();
  }
}
