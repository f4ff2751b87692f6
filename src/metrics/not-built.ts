import type { MetricDefinition } from './definitions.ts';

export interface MetricNotBuilt extends MetricDefinition {
  /** The service that would count it. Once that is built, the metric moves to `definitions.ts`. */
  readonly service: string;
}

/** Metrics of services that are not built. They are not served: a 0 would mean that the service runs and did nothing. */
export const metricsNotBuilt = {
  compute_audit_log_dir_size: {
    service: 'audit log',
    type: 'gauge',
    labels: [],
    help: "Bytes of the log files in the data directory's log folder; 0 without audit logging.",
  },
} as const satisfies Record<string, MetricNotBuilt>;
