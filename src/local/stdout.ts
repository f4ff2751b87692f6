import { never } from '../core/abort.ts';
import { within } from '../core/clock.ts';
import { ComputeError } from '../core/errors.ts';

/** For a socket whose other side does not read; files, pipes and terminals are written at once. */
const limitMs = 10_000;

/** Keeps a reader that has gone, as of `| head -1`, from ending this process with a stack trace.
 *  @returns waits until everything is written; null, or why that was not possible */
export function watchOutput(
  out: NodeJS.WriteStream,
  beside: NodeJS.WriteStream,
): () => Promise<Error | null> {
  let failed: NodeJS.ErrnoException | null = null;
  out.on('error', (error) => (failed ??= error));
  beside.on('error', () => {});
  return async () => {
    const end = new Promise<void>((resolve) => out.write('', () => resolve()));
    await within(end, limitMs, never);
    // Nobody wants the rest.
    if (failed === null || failed.code === 'EPIPE') return null;
    return new ComputeError('system', 'the output could not be written', { cause: failed });
  };
}
