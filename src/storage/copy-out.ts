import { type PgClient, destroyPg } from '../pg/client.ts';
import { type ArchiveStream, watchStream } from '../tar/archive-stream.ts';

/** Sends a command whose answer is a copy, in the simple protocol. The caller must read it to the end; if that fails, the
 *  connection cannot be used again. The connection is closed when nothing arrives for `idleMs` or `signal` aborts. */
export async function receiveCopy(
  client: PgClient,
  command: string,
  idleMs: number,
  signal: AbortSignal,
): Promise<ArchiveStream> {
  const { default: copyStreams } = await import('pg-copy-streams');
  const chunks = client.query(copyStreams.to(command));
  const source = {
    chunks,
    onEnd(listener: (failure: unknown) => void): void {
      chunks.on('error', listener);
      // The server is ready for the next command.
      client.once('drain', () => listener(null));
    },
    cut: () => destroyPg(client),
  };
  return watchStream(source, idleMs, signal);
}
