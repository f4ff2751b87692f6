import { linked } from '../core/abort.ts';
import { monotonicMs, untilQuiet } from '../core/clock.ts';
import { ComputeError, isAbort } from '../core/errors.ts';

/** An archive on its way here, whatever carries it. */
export interface ArchiveStream {
  /** Its bytes, in pieces as they come. Ends where the sender says that it is complete. */
  readonly chunks: AsyncIterable<Buffer>;
  /** Settles when the sender confirms the end; rejects with what it reported instead, however late. */
  readonly finished: Promise<void>;
  /** Received so far. */
  bytes(): number;
  /** What made it fail, null while nothing has. */
  failure(): unknown;
}

export interface StreamSource {
  readonly chunks: AsyncIterable<Buffer>;
  /** Tells once how it ended: null when the sender confirmed the end, else what it reported instead. */
  onEnd(listener: (failure: unknown) => void): void;
  /** Ends the stream at once. */
  cut(): void;
}

/** Counts what comes, and cuts the stream when nothing comes for `idleMs` or `signal` aborts. */
export function watchStream(source: StreamSource, idleMs: number, signal: AbortSignal): ArchiveStream {
  const done = linked(signal);
  let failure: unknown = null;
  let received = 0;
  let heardMs = monotonicMs();
  const cut = (): void => source.cut();
  const finished = new Promise<void>((resolve, reject) => {
    source.onEnd((error) => {
      signal.removeEventListener('abort', cut);
      done.abort();
      if (error === null) return resolve();
      // An abort, of whatever signal, only says that our side stopped reading; why is known there.
      if (!isAbort(error)) failure ??= error;
      reject(error);
    });
  });
  finished.catch(() => {});
  const watch = async (): Promise<void> => {
    await untilQuiet(() => heardMs, idleMs, done.signal);
    failure ??= new ComputeError('deadline', `nothing arrived for ${idleMs} ms`);
    cut();
  };
  watch()
    .catch(() => {})
    .finally(() => done.release());
  if (signal.aborted) cut();
  else signal.addEventListener('abort', cut, { once: true });
  const counted = async function* (): AsyncGenerator<Buffer> {
    for await (const chunk of source.chunks) {
      received += chunk.length;
      heardMs = monotonicMs();
      yield chunk;
    }
  };
  return { chunks: counted(), finished, bytes: () => received, failure: () => failure };
}
