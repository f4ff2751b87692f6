import { abortedBy, linked } from '../core/abort.ts';
import { sleep } from '../core/clock.ts';
import { explained } from '../core/errors.ts';
import { backoffMs } from '../core/retry.ts';
import { type Health, type RunningService, type ServiceDeps, healthNow, nextHealth } from './service.ts';

export interface Application<Wanted> {
  /** For log lines. */
  readonly name: string;
  /** Brings the wanted state about, or what is missing of it.
   *  @returns what is still missing, in words; null: nothing. It is looked at again, as after a failure */
  apply(wanted: Wanted, signal: AbortSignal): Promise<string | null>;
  /** Takes everything back: it is no longer wanted. */
  withdraw(signal: AbortSignal): Promise<void>;
  /** The compute shuts down. */
  end(signal: AbortSignal): Promise<void>;
}

/** The detail of a health that says `ok` before anything was done. */
export const applying = 'what the spec requires is being applied';
const pauses = { firstMs: 1000, factor: 1.5, maxMs: 30_000 };

/** A service that brings something outside of compute_ctl to a wanted state, in the background, and tries again until that is
 *  reached: the other program may start later. */
export function keepApplied<Wanted>(
  first: Wanted,
  { log, untilCalm, failpoints }: Pick<ServiceDeps, 'log' | 'untilCalm' | 'failpoints'>,
  how: Application<Wanted>,
): RunningService<Wanted> {
  const { name } = how;
  let wanted = first;
  let health = healthNow('ok', null, applying);
  let changed = new AbortController();
  const over = new AbortController();
  const report = (state: Health['state'], error: string | null = null): void => {
    const last = health;
    health = nextHealth(health, state, error);
    if (last.state === state && last.error === error) return;
    if (state === 'ok') log.info(`${name}: it is as the spec requires`);
    else log.warn(`${name}: ${error}`);
  };
  /** @returns whether another look is necessary */
  const look = async (signal: AbortSignal): Promise<boolean> => {
    try {
      await failpoints.pass('compute-helper-apply', signal, name);
      const missing = await how.apply(wanted, signal);
      if (!signal.aborted) report(missing === null ? 'ok' : 'degraded', missing);
      return missing !== null;
    } catch (error) {
      if (!abortedBy(error, signal) && !signal.aborted) report('failed', explained(error));
      return true;
    }
  };
  const work = async (): Promise<void> => {
    let failures = 0;
    await untilCalm(over.signal).catch(() => {});
    while (!over.signal.aborted) {
      const now = linked(over.signal, changed.signal);
      failures = (await look(now.signal)) ? failures + 1 : 0;
      const pauseMs = failures === 0 ? idleMs : backoffMs(failures, pauses);
      await sleep(pauseMs, now.signal).catch(() => {});
      if (now.signal.aborted) failures = 0;
      now.release();
    }
  };
  const task = work();
  const finish = async (last: () => Promise<void>): Promise<void> => {
    over.abort();
    await task;
    await last();
  };
  return {
    get health() {
      return health;
    },
    async reconfigure(next) {
      wanted = next;
      health = nextHealth(health, health.state, health.error, applying);
      changed.abort();
      changed = new AbortController();
    },
    stop: (signal) => finish(() => how.withdraw(signal)),
    end: (signal) => finish(() => how.end(signal)),
  };
}

/** How often somebody else's change is looked for. */
const idleMs = 60_000;
