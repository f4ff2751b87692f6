import { type PgClient, destroyPg } from '../pg/client.ts';
import { type ArchiveStream, watchStream } from '../tar/archive-stream.ts';

/** Sends a command that is answered with a copy, in the simple protocol. Must be read to the end; the connection is of
 *  no use afterwards if that fails. When nothing arrives for `idleMs` or `signal` aborts, it is cut. */
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
