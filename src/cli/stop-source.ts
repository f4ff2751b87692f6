import { alarm } from '../core/clock.ts';
import { errorCodes, inline } from '../core/errors.ts';
import type { Log } from '../core/log.ts';

/** Whom the signals of the operating system, and defects of our own, are told. */
export interface StopListener {
  bySignal(): void;
  byDefect(): void;
}

export interface StopSource {
  /** From now on they are told this one. */
  goTo(listener: StopListener): void;
}

const signals = ['SIGINT', 'SIGTERM', 'SIGQUIT'] as const;

/** How long an orderly end after a defect may take before the process ends all the same. Longer than the longest stop of
 *  Postgres by default, shorter than anybody's patience. */
const orderlyMs = 180_000;

/** Catches signals, and what nothing handles: an unhandled rejection or exception is one fatal line, stops Postgres in
 *  its fast mode and ends the process with a code of its own. */
export function watchStops(
  log: Log,
  exit: (code: number) => void = (code) => process.exit(code),
): StopSource {
  let listener: StopListener | null = null;
  let defects = 0;
  for (const signal of signals) {
    process.on(signal, () => {
      log.info(`received ${signal}`);
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
      alarm(orderlyMs, () => exit(code));
      listener.byDefect();
    }
  };
  process.on('uncaughtException', defect);
  process.on('unhandledRejection', defect);
  return { goTo: (next) => void (listener = next) };
}
