import { linked } from '../core/abort.ts';
import { monotonicMs, untilQuiet } from '../core/clock.ts';
import { ComputeError, isAbort } from '../core/errors.ts';

/** An archive that is being received, over any protocol. */
export interface ArchiveStream {
  /** Its bytes, in pieces as they arrive. Ends where the sender says that the archive is complete. */
  readonly chunks: AsyncIterable<Buffer>;
  /** Resolves when the sender confirms the end; rejects with the error that it reports instead, even if it comes late. */
  readonly finished: Promise<void>;
  /** Bytes received so far. */
  bytes(): number;
  /** The first error; null without one. */
  failure(): unknown;
}

export interface StreamSource {
  readonly chunks: AsyncIterable<Buffer>;
  /** Calls `listener` once at the end: with null when the sender confirmed the end, else with the error. */
  onEnd(listener: (failure: unknown) => void): void;
  /** Ends the stream at once. */
  cut(): void;
}

/** Counts the bytes, and cuts the stream when nothing arrives for `idleMs` or `signal` aborts. */
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
      // An abort of any signal only says that our side stopped reading; our side knows the reason.
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
