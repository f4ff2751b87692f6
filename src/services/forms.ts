import { explained } from '../core/errors.ts';
import { type Health, type RunningService, type ServiceDeps, healthNow, nextHealth } from './service.ts';

export interface Loop {
  /** Sets the health; it is `ok` until the first call. */
  report(state: Health['state'], error?: string | null, detail?: string): void;
}

export interface LoopOptions<Wanted> {
  /** For a failure's log line. */
  readonly name: string;
  /** Runs until the work is finished or `signal` aborts. */
  readonly work: (signal: AbortSignal, loop: Loop) => Promise<void>;
  readonly reconfigure?: (wanted: Wanted) => void;
}

/** A service that is work in the background. Nothing waits for it; its failure is logged and shown in its health. */
export function inBackground<Wanted>(
  { log }: Pick<ServiceDeps, 'log'>,
  { name, work, reconfigure }: LoopOptions<Wanted>,
): RunningService<Wanted> {
  let health = healthNow('ok');
  const over = new AbortController();
  const loop: Loop = { report: (...next) => void (health = nextHealth(health, ...next)) };
  const task = work(over.signal, loop).catch((error: unknown) => {
    if (over.signal.aborted) return;
    loop.report('failed', explained(error));
    log.warn(`${name}: ${explained(error)}`);
  });
  return {
    get health() {
      return health;
    },
    reconfigure: async (wanted) => reconfigure?.(wanted),
    async stop() {
      over.abort();
      await task;
    },
  };
}

/** A service whose work is finished when its start is over.
 *  @param onStop the work when the compute shuts down */
export function done<Wanted>(onStop?: (signal: AbortSignal) => Promise<void>): RunningService<Wanted> {
  return {
    health: healthNow('ok'),
    reconfigure: async () => {},
    stop: async (signal) => onStop?.(signal),
  };
}
