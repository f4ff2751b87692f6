import type { MetricDefinition } from './definitions.ts';

export interface MetricNotBuilt extends MetricDefinition {
  /** The service that would count it. Once that is built, the metric moves to `definitions.ts`. */
  readonly service: string;
}

/** Metrics of services that are not built. They are not served: a 0 would mean that the service runs and did nothing. */
export const metricsNotBuilt = {
  compute_installed_extensions: {
    service: 'statistics of installed extensions',
    type: 'gauge',
    labels: ['extension_name', 'owned_by_superuser', 'version'],
    help: 'Number of databases with this version of the extension.',
  },
  compute_ctl_lfc_prewarms_total: {
    service: 'prewarm of the local file cache',
    type: 'counter',
    labels: [],
    help: 'Prewarms of the local file cache that were accepted.',
  },
  compute_ctl_lfc_prewarm_errors_total: {
    service: 'prewarm of the local file cache',
    type: 'counter',
    labels: [],
    help: 'Prewarms of the local file cache that failed.',
  },
  compute_ctl_lfc_offloads_total: {
    service: 'offload of the local file cache',
    type: 'counter',
    labels: [],
    help: "Started saves of the local file cache's state.",
  },
  compute_ctl_lfc_offload_errors_total: {
    service: 'offload of the local file cache',
    type: 'counter',
    labels: [],
    help: "Failed saves of the local file cache's state.",
  },
} as const satisfies Record<string, MetricNotBuilt>;
