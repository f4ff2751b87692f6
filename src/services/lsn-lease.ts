import { once } from 'node:events';
import type { Lsn } from '../core/lsn.ts';
import type { Secret } from '../core/secret.ts';
import type { PageserverInfo } from '../spec/resolve.ts';
import { type LeaseOutcome, keepLease } from '../storage/keep-lease.ts';
import { type Loop, inBackground } from './forms.ts';
import type { Service, ServiceDeps } from './service.ts';

interface Lease {
  readonly tenantId: string;
  readonly timelineId: string;
  readonly lsn: Lsn;
  readonly pageserver: PageserverInfo;
  readonly token: Secret | null;
}

/** Keeps a static compute's LSN leased while the compute runs. A refused or expiring lease is shown in the status and in
 *  the metrics. */
export const lsnLease: Service<Lease> = {
  name: 'lsn-lease',
  when: 'beside-postgres',
  showsError: true,
  wants({ mode, tenantId, timelineId, pageserver, spec }) {
    // 0/0 is not a position that can be leased.
    if (mode.kind !== 'static' || mode.lsn === 0n) return null;
    return { tenantId, timelineId, lsn: mode.lsn, pageserver, token: spec.storage_auth_token };
  },
  async start(wanted, deps) {
    let lease = wanted;
    let replaced = new AbortController();
    /** Aborted when the address has changed since the last request. */
    let asked = replaced.signal;
    return inBackground<Lease>(deps, {
      name: 'lsn-lease',
      reconfigure(next) {
        const same = addressOf(next) === addressOf(lease);
        lease = next;
        if (same) return;
        replaced.abort();
        replaced = new AbortController();
      },
      work: (signal, loop) =>
        keepLease(
          {
            ...wanted,
            log: deps.log,
            onOutcome: (outcome) => told(outcome, deps, loop),
            addresses() {
              asked = replaced.signal;
              return lease;
            },
            async changed(over) {
              if (!asked.aborted) await once(asked, 'abort', { signal: over });
            },
          },
          signal,
        ),
    });
  },
};

function told(outcome: LeaseOutcome, { metrics }: ServiceDeps, loop: Loop): void {
  metrics.inc('compute_lsn_lease_requests_total', { outcome: outcome.kind });
  if (outcome.kind === 'granted')
    metrics.set('compute_lsn_lease_expiry_seconds', Math.floor(outcome.untilMs / 1000));
  if (outcome.kind === 'refused') metrics.set('compute_lsn_lease_expiry_seconds', 0);
  if (outcome.kind === 'granted') loop.report('ok');
  else loop.report('degraded', `the LSN is not leased: ${outcome.error}`);
}

const addressOf = ({ pageserver, token }: Lease): string =>
  JSON.stringify([pageserver, [...pageserver.shards], token?.reveal() ?? null]);
