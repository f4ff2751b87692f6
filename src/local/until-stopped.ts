import { abortedBy } from '../core/abort.ts';
import { onSignals } from '../process/signals.ts';
import { codeOf, errorText } from '../core/errors.ts';
import { reportFailure } from '../core/report-failure.ts';
import type { Report } from './report.ts';

export interface Stopping {
  readonly stop: AbortController;
  /** Aborts at the second signal. */
  readonly escalate: AbortSignal;
}

/** Runs `work` until it ends, or a signal ends it.
 *  @returns the exit code */
export async function untilStopped(
  report: Report,
  goodbye: string,
  work: (stopping: Stopping) => Promise<void>,
): Promise<number> {
  const stop = new AbortController();
  const escalate = new AbortController();
  // SIGHUP: the terminal is gone.
  onSignals((signal, meaning) => {
    if (meaning === 'ignore') return;
    if (stop.signal.aborted) escalate.abort();
    else report.event('stopping', { signal }, 'Stopping (press Ctrl-C again to stop at once) ...');
    stop.abort();
  });
  try {
    await work({ stop, escalate: escalate.signal });
    report.event('stopped', {}, goodbye);
    return 0;
  } catch (error) {
    if (abortedBy(error, stop.signal)) return 0;
    report.event('failed', { message: errorText(error), code: codeOf(error) }, null);
    return reportFailure(error, 'text');
  }
}
