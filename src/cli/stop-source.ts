import { alarm } from '../core/clock.ts';
import { errorCodes, inline } from '../core/errors.ts';
import type { Log } from '../core/log.ts';

/** Receives signals from the operating system, and this program's own defects. */
export interface StopListener {
  bySignal(): void;
  byDefect(): void;
}

export interface StopSource {
  /** Makes this one the receiver from now on. */
  goTo(listener: StopListener): void;
}

const signals = ['SIGINT', 'SIGTERM', 'SIGQUIT'] as const;

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
  for (const signal of signals) {
    process.on(signal, () => {
      log.info(`received ${signal}`);
      asked = true;
      listener?.bySignal();
    });
  }
  const defect = (error: unknown): void => {
    const stack = error instanceof Error ? error.stack : undefined;
    log.fatal({ stack }, `defect: ${inline(error)}`);
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
  };
}
