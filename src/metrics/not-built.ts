import type { MetricDefinition } from './definitions.ts';

export interface MetricNotBuilt extends MetricDefinition {
  /** What would count it, once it is there; the metric then moves to `definitions.ts`. */
  readonly service: string;
}

/** Metrics of services that are not built. They are not served: a 0 would say that the service runs and did nothing. */
export const metricsNotBuilt = {
  compute_installed_extensions: {
    service: 'statistics of installed extensions',
    type: 'gauge',
    labels: ['extension_name', 'owned_by_superuser', 'version'],
    help: 'Number of databases that have this version of the extension.',
  },
  compute_ctl_remote_ext_requests_total: {
    service: 'remote extensions',
    type: 'counter',
    labels: ['filename', 'http_status'],
    help: 'Requests for extension archives by file and outcome; unknown means that no answer came.',
  },
  compute_audit_log_dir_size: {
    service: 'audit log',
    type: 'gauge',
    labels: [],
    help: 'Bytes of the log files in the log folder of the data directory; 0 without audit logging.',
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
    help: 'Times the state of the local file cache began to be saved.',
  },
  compute_ctl_lfc_offload_errors_total: {
    service: 'offload of the local file cache',
    type: 'counter',
    labels: [],
    help: 'Times saving the state of the local file cache failed.',
  },
} as const satisfies Record<string, MetricNotBuilt>;
