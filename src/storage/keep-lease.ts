import { linked } from '../core/abort.ts';
import { raceAbort, sleep } from '../core/clock.ts';
import { explained } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { type Lsn, formatLsn } from '../core/lsn.ts';
import { type Pauses, backoffMs } from '../core/retry.ts';
import { type LeaseRequest, leaseLsn } from './lease.ts';

export type Addresses = Pick<LeaseRequest, 'pageserver' | 'token'>;

export interface LeaseContext {
  readonly tenantId: string;
  readonly timelineId: string;
  readonly lsn: Lsn;
  /** The pageservers and the token; read again before each attempt. */
  readonly addresses: () => Addresses;
  /** Resolves when `addresses` may have changed. */
  readonly changed: (signal: AbortSignal) => Promise<void>;
  /** Called with each outcome. `untilMs`: milliseconds since 1970; `error`: a text for people. */
  readonly onOutcome: (outcome: LeaseOutcome) => void;
  readonly log: Log;
}

export type LeaseOutcome =
  | { readonly kind: 'granted'; readonly untilMs: number }
  | { readonly kind: 'refused'; readonly error: string }
  | { readonly kind: 'failed'; readonly error: string };

const requestMs = 10_000;
const leastPauseMs = 1000;
const longestPauseMs = 60_000;
/** Longer than the leases that pageservers grant (10 minutes by default). */
const longestLeaseMs = 3_600_000;

/** Milliseconds from a success to the next request: a minute before the end, or half way for short leases. The bounds
 *  are for a clock that is wrong: it must not make us ask without pause, nor too late. */
export const renewalPauseMs = (remainingMs: number): number =>
  Math.min(longestLeaseMs, Math.max(leastPauseMs, remainingMs - 60_000, remainingMs / 2));

/** Pauses after failures. */
export const retryPauses: Pauses = { firstMs: 500, factor: 1.5, maxMs: longestPauseMs, jitter: [1, 1.2] };

const refusal = 'lease could not be obtained, LSN is behind the GC cutoff';

/** Renews the lease on a static compute's LSN, so that garbage collection keeps its data, until `signal` aborts. A refusal
 *  may be temporary, so it is reported and the requests continue. Rejects only with the abort. */
export async function keepLease(context: LeaseContext, signal: AbortSignal): Promise<never> {
  const { tenantId, timelineId, lsn, addresses, onOutcome } = context;
  const log = context.log.child({ task: 'lsn_lease_bg_task' });
  const where = `lsn_lease_bg_task{tenant_id=${tenantId} timeline_id=${timelineId} lsn=${formatLsn(lsn)}}`;
  for (let failures = 0; ;) {
    let pauseMs: number;
    try {
      const request = { ...addresses(), tenantId, timelineId, lsn, limitMs: requestMs };
      const answer = await leaseLsn(request, signal);
      if (answer === 'refused') {
        pauseMs = longestPauseMs;
        onOutcome({ kind: 'refused', error: `Permanent error: ${refusal}` });
        log.warn(`${where}: Permanent error: ${refusal}; next request in ${pauseMs / 1000} seconds`);
      } else {
        failures = 0;
        pauseMs = renewalPauseMs(answer - Date.now());
        onOutcome({ kind: 'granted', untilMs: answer });
        log.info(`${where}: Request succeeded, sleeping for ${Math.round(pauseMs / 1000)} seconds`);
      }
    } catch (error) {
      signal.throwIfAborted();
      pauseMs = backoffMs(++failures, retryPauses);
      onOutcome({ kind: 'failed', error: explained(error) });
      log.warn(`${where}: Failed to acquire lsn lease: ${explained(error)} (attempt ${failures})`);
    }
    await pause(context, pauseMs, signal);
  }
}

/** Ends early when the addresses may have changed. */
async function pause({ changed }: LeaseContext, ms: number, signal: AbortSignal): Promise<void> {
  const over = linked(signal);
  const waits = [sleep(ms, over.signal), changed(over.signal)];
  try {
    await raceAbort(Promise.race(waits), signal);
  } finally {
    over.abort();
    over.release();
    await Promise.allSettled(waits);
  }
}
