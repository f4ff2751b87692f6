import { alarm } from '../core/clock.ts';
import { ComputeError, errorCodes, explained } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { onSignals } from '../process/signals.ts';

/** Receives signals from the operating system, and this program's own defects. */
export interface StopListener {
  bySignal(): void;
  byDefect(): void;
}

export interface StopSource {
  /** Makes this one the receiver from now on. */
  goTo(listener: StopListener): void;
  /** Calls this on SIGHUP from now on. What it throws is noted, and ignored. */
  onReload(reload: () => void): void;
}

/** Milliseconds for a clean shutdown after a defect; then it is escalated, as by a second signal. Longer than the default
 *  limit for a stop of Postgres. */
const orderlyMs = 180_000;
/** Milliseconds for the escalated shutdown, in which Postgres is stopped at once; then the process exits anyway. */
const escalatedMs = 20_000;

/** Catches signals and unhandled errors. An unhandled rejection or exception writes one fatal line, stops Postgres (fast
 *  mode) and ends the process with its own exit code. */
export function watchStops(
  log: Log,
  exit: (code: number) => void = (code) => process.exit(code),
): StopSource {
  let listener: StopListener | null = null;
  let asked = false;
  let defects = 0;
  let reload = (): void => {
    throw new ComputeError('wrong_status', 'the compute has not started yet');
  };
  onSignals((signal, meaning) => {
    if (meaning === 'ignore') return log.info(`received ${signal}: ignored`);
    log.info(`received ${signal}`);
    if (meaning === 'stop') {
      asked = true;
      return listener?.bySignal();
    }
    try {
      reload();
    } catch (error) {
      log.info(`${signal} has no effect: ${explained(error)}`);
    }
  });
  const defect = (error: unknown): void => {
    const stack = error instanceof Error ? error.stack : undefined;
    log.fatal({ stack }, `defect: ${explained(error)}`);
    defects++;
    if (defects > 1) return;
    const { exit: code } = errorCodes.defect;
    if (listener === null) exit(code);
    else {
      alarm(orderlyMs, () => {
        listener?.bySignal();
        alarm(escalatedMs, () => exit(code));
      });
      listener.byDefect();
    }
  };
  process.on('uncaughtException', defect);
  process.on('unhandledRejection', defect);
  return {
    goTo(next) {
      // A signal that came before anybody could receive it.
      if (listener === null && asked) next.bySignal();
      listener = next;
    },
    onReload: (next) => void (reload = next),
  };
}
