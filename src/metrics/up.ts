import { buildTag } from '../core/build.ts';
import type { Lifecycle } from '../core/lifecycle.ts';
import { type Status, statusText } from '../core/status.ts';
import type { Metrics } from './registry.ts';

/** Keeps `compute_ctl_up` at one sample, labelled with the current status. Returns the function that ends this. */
export function followStatus(metrics: Metrics, lifecycle: Lifecycle): () => void {
  const show = (status: Status): void =>
    metrics.replace('compute_ctl_up', [
      { labels: { build_tag: buildTag, status: statusText(status) }, value: 1 },
    ]);
  const listener = ({ to }: { readonly to: Status }): void => show(to);
  show(lifecycle.status);
  lifecycle.changed.on('status', listener);
  return () => lifecycle.changed.off('status', listener);
}
