import { inline } from '../core/errors.ts';
import { type Health, type RunningService, type ServiceDeps, healthNow, nextHealth } from './service.ts';

export interface Loop {
  /** Says how the work is going; `ok` until it is called. */
  report(state: Health['state'], error?: string | null): void;
}

export interface LoopOptions<Wanted> {
  /** For the log line of a failure. */
  readonly name: string;
  /** Runs until it has nothing left to do or `signal` aborts, whichever is first. */
  readonly work: (signal: AbortSignal, loop: Loop) => Promise<void>;
  readonly reconfigure?: (wanted: Wanted) => void;
}

/** A service that is work in the background: nobody waits for it, its failure is logged and shows in its health. */
export function inBackground<Wanted>(
  { log }: Pick<ServiceDeps, 'log'>,
  { name, work, reconfigure }: LoopOptions<Wanted>,
): RunningService<Wanted> {
  let health = healthNow('ok');
  const over = new AbortController();
  const loop: Loop = { report: (state, error = null) => void (health = nextHealth(health, state, error)) };
  const task = work(over.signal, loop).catch((error: unknown) => {
    if (over.signal.aborted) return;
    loop.report('failed', inline(error));
    log.warn(`${name}: ${inline(error)}`);
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

/** A service that has done what it is for when its start is over.
 *  @param onStop what is left to do when the compute ends */
export function done<Wanted>(onStop?: (signal: AbortSignal) => Promise<void>): RunningService<Wanted> {
  return {
    health: healthNow('ok'),
    reconfigure: async () => {},
    stop: async (signal) => onStop?.(signal),
  };
}
