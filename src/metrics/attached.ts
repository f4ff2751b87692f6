import type { Lifecycle } from '../core/lifecycle.ts';
import type { Labels } from './definitions.ts';
import type { Metrics } from './registry.ts';

/** Keeps `pg_cctl_attached` at one sample: what the current spec attaches this compute to. It is updated at every change
 *  of the status, and so with each new spec.
 *  @param attached null while there is no spec */
export function followAttached(
  metrics: Metrics,
  lifecycle: Lifecycle,
  attached: () => Labels<'pg_cctl_attached'> | null,
): void {
  const show = (): void => {
    const labels = attached();
    metrics.replace('pg_cctl_attached', labels === null ? [] : [{ labels, value: 1 }]);
  };
  show();
  lifecycle.changed.on('status', show);
}
