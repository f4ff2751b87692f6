import type { Pack } from 'tar-stream';

export interface TarEntry {
  readonly name: string;
  readonly mode: number;
  readonly mtime: Date;
  /** Null for a directory. */
  readonly content: Buffer | { readonly bytes: number; readonly chunks: AsyncIterable<Buffer> } | null;
}

/** The end of an archive: two blocks of zeros. */
export const tarEndBytes = 1024;

/** Writes entries as a tar archive, one at a time, and only as fast as its reader. */
export async function* writeTar(
  entries: AsyncIterable<TarEntry> | Iterable<TarEntry>,
): AsyncGenerator<Buffer> {
  const { default: tarStream } = await import('tar-stream');
  const tar = tarStream.pack();
  const write = (entry: TarEntry): Promise<void> =>
    new Promise((resolve, reject) => {
      const sink = tar.entry(header(entry), (error) => (error instanceof Error ? reject(error) : resolve()));
      // The callback gets the error too; without a listener it would end the process.
      sink.on('error', () => {});
      if (entry.content === null) return;
      if (Buffer.isBuffer(entry.content)) sink.end(entry.content);
      else copy(entry.content.chunks, sink).catch(reject);
    });
  const fill = async (): Promise<void> => {
    for await (const entry of entries) await write(entry);
    tar.finalize();
  };
  const filled = fill().catch((error: Error) => tar.destroy(error));
  try {
    yield* tar as AsyncIterable<Buffer>;
  } finally {
    tar.destroy();
    await filled;
  }
}

function header({ name, mode, mtime, content }: TarEntry): Parameters<Pack['entry']>[0] {
  if (content === null) return { name, mode, mtime, type: 'directory' };
  return { name, mode, mtime, type: 'file', size: Buffer.isBuffer(content) ? content.length : content.bytes };
}

/** Node's `pipeline` would never settle for an entry that was destroyed before it began. */
async function copy(chunks: AsyncIterable<Buffer>, sink: NodeJS.WritableStream): Promise<void> {
  for await (const chunk of chunks) {
    if (!sink.write(chunk)) await new Promise<void>((resolve) => sink.once('drain', () => resolve()));
  }
  sink.end();
}

/** Passes a tar archive on without its end, so that more entries can follow. */
export async function* withoutTarEnd(archive: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let held: Buffer = Buffer.alloc(0);
  for await (const chunk of archive) {
    const all = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    const ready = Math.max(0, all.length - tarEndBytes);
    if (ready > 0) yield all.subarray(0, ready);
    held = all.subarray(ready);
  }
}
