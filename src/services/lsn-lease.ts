import { once } from 'node:events';
import type { Log } from '../core/log.ts';
import type { Metrics } from '../metrics/registry.ts';
import { type LeaseOutcome, keepLease } from '../storage/keep-lease.ts';
import { samePageservers } from '../lifecycle/same-spec.ts';
import type { ComputeState } from '../lifecycle/state.ts';

/** Keeps the LSN of a static compute leased for as long as it runs; nothing to do for the others. A lease that is
 *  refused or about to be lost shows in the status and in the metrics.
 *  @throws AbortError at the end */
export async function leaseForStatic(
  state: ComputeState,
  { metrics, log }: { readonly metrics: Metrics; readonly log: Log },
  signal: AbortSignal,
): Promise<void> {
  const first = state.spec;
  // At 0/0 there is nothing to lease.
  if (first?.mode.kind !== 'static' || first.mode.lsn === 0n) return;
  const { tenantId, timelineId, mode } = first;
  let asked = first;
  const onOutcome = (outcome: LeaseOutcome): void => {
    metrics.inc('compute_lsn_lease_requests_total', { outcome: outcome.kind });
    if (outcome.kind === 'granted')
      metrics.set('compute_lsn_lease_expiry_seconds', Math.floor(outcome.untilMs / 1000));
    if (outcome.kind === 'refused') metrics.set('compute_lsn_lease_expiry_seconds', 0);
    state.leaseError = outcome.kind === 'granted' ? null : `the LSN is not leased: ${outcome.error}`;
  };
  await keepLease(
    {
      tenantId,
      timelineId,
      lsn: mode.lsn,
      log,
      onOutcome,
      addresses() {
        asked = state.spec ?? asked;
        return { pageserver: asked.pageserver, token: asked.spec.storage_auth_token };
      },
      async changed(signal) {
        while (state.spec === null || samePageservers(state.spec, asked))
          await once(state.changed, 'spec', { signal });
      },
    },
    signal,
  );
}
