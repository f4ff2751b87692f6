import { monotonicMs, sleep } from '../core/clock.ts';
import { ComputeError, isAbort } from '../core/errors.ts';
import { type PgClient, destroyPg } from '../pg/client.ts';

export interface CopyOut {
  /** The payload of the CopyData messages, in pieces as they come. Ends after CopyDone. */
  readonly chunks: AsyncIterable<Buffer>;
  /** Settles when the server is ready for the next command; rejects with what it reported instead, however late. */
  readonly finished: Promise<void>;
  /** Received so far. */
  bytes(): number;
  /** What made the copy fail, null while nothing has. */
  failure(): unknown;
}

/** Sends a command that is answered with a copy, in the simple protocol. Must be read to the end; the connection is of
 *  no use afterwards if that fails. When nothing arrives for `idleMs` or `signal` aborts, it is cut. */
export async function receiveCopy(
  client: PgClient,
  command: string,
  idleMs: number,
  signal: AbortSignal,
): Promise<CopyOut> {
  const { default: copyStreams } = await import('pg-copy-streams');
  const stream = client.query(copyStreams.to(command));
  const done = new AbortController();
  let failure: unknown = null;
  let received = 0;
  let heardMs = monotonicMs();
  const finished = new Promise<void>((resolve, reject) => {
    stream.on('error', (error) => {
      // An abort only says that our side stopped reading; why is known there.
      if (!isAbort(error)) failure ??= error;
      reject(error);
    });
    client.once('drain', resolve);
  });
  const watch = async (): Promise<void> => {
    const until = AbortSignal.any([done.signal, signal]);
    for (let leftMs = idleMs; leftMs > 0; leftMs = heardMs + idleMs - monotonicMs())
      await sleep(leftMs, until);
    failure ??= new ComputeError('deadline', `nothing arrived for ${idleMs} ms`);
    destroyPg(client);
  };
  watch().catch(() => {});
  finished.catch(() => {}).finally(() => done.abort());
  return {
    chunks: counted(stream, (bytes) => {
      received += bytes;
      heardMs = monotonicMs();
    }),
    finished,
    bytes: () => received,
    failure: () => failure,
  };
}

async function* counted(
  stream: AsyncIterable<unknown>,
  count: (bytes: number) => void,
): AsyncGenerator<Buffer> {
  for await (const chunk of stream) {
    count((chunk as Buffer).length);
    yield chunk as Buffer;
  }
}
