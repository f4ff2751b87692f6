export interface MetricDefinition {
  readonly type: 'counter' | 'gauge' | 'histogram';
  /** In the order of their names, which is also their order on the wire. */
  readonly labels: readonly string[];
  readonly help: string;
  /** Of a histogram: the upper bounds, rising, in the unit that the name tells. */
  readonly buckets?: readonly number[];
}

/** Every metric that is served, in the order of `GET /metrics`. One without labels is there from the first scrape, starting at 0;
 *  one with labels appears with its first sample. */
export const metricDefinitions = {
  compute_ctl_up: {
    type: 'gauge',
    labels: ['build_tag', 'status'],
    help: 'Always 1; its labels tell the build and the current status of the compute.',
  },
  compute_ctl_cplane_requests_total: {
    type: 'counter',
    labels: ['http_status', 'rpc'],
    help: 'Requests to the control plane by call and outcome; unknown means that no answer came.',
  },
  compute_ctl_db_migration_failed_total: {
    type: 'counter',
    labels: ['migration_id'],
    help: 'Failures of a migration of the system catalogs.',
  },
  compute_pg_current_downtime_ms: {
    type: 'gauge',
    labels: [],
    help: 'How long Postgres has not been answering, in milliseconds; 0 while it answers.',
  },
  compute_pg_downtime_ms_total: {
    type: 'counter',
    labels: [],
    help: 'How long Postgres did not answer since it first ran, summed up, in milliseconds.',
  },
  compute_ctl_vm_monitor_listening: {
    type: 'gauge',
    labels: [],
    help: '1 while the vm-monitor listens for the autoscaler agent.',
  },
  compute_ctl_vm_monitor_connections_total: {
    type: 'counter',
    labels: [],
    help: 'Connections that the autoscaler agent has made to the vm-monitor.',
  },
  compute_ctl_vm_monitor_memory_use_bytes: {
    type: 'gauge',
    labels: [],
    help: 'Anonymous memory in the control group of Postgres, on average over the last samples.',
  },
  compute_ctl_vm_monitor_threshold_bytes: {
    type: 'gauge',
    labels: [],
    help: 'Memory use from which on the vm-monitor asks for more.',
  },
  compute_ctl_vm_monitor_file_cache_bytes: {
    type: 'gauge',
    labels: [],
    help: 'Size that the vm-monitor last gave to the local file cache.',
  },
  compute_ctl_vm_monitor_failed_samples_total: {
    type: 'counter',
    labels: [],
    help: 'Times the memory use could not be read.',
  },
  compute_ctl_vm_monitor_requests_total: {
    type: 'counter',
    labels: ['outcome', 'type'],
    help: 'Messages of the autoscaler agent by type and by what became of them: ok, refused, failed or invalid.',
  },
  compute_ctl_vm_monitor_refusals_total: {
    type: 'counter',
    labels: ['reason'],
    help: 'Downscales that were refused or failed, by reason.',
  },
  compute_ctl_vm_monitor_upscale_requests_total: {
    type: 'counter',
    labels: [],
    help: 'Times the vm-monitor asked for more memory.',
  },
  compute_ctl_vm_informant_starts_total: {
    type: 'counter',
    labels: [],
    help: 'Starts of the vm-informant of older images.',
  },
  pg_cctl_pagestream_request_errors_total: {
    type: 'counter',
    labels: [],
    help: 'Requests to fetch the configuration anew, sent when Postgres cannot reach its pageserver.',
  },
  pg_cctl_configure_statement_timeout_errors_total: {
    type: 'counter',
    labels: [],
    help: 'Statements of a configuration that ended by their timeout.',
  },
  pg_cctl_attached: {
    type: 'gauge',
    labels: ['pg_compute_id', 'pg_instance_id', 'tenant_id', 'timeline_id'],
    help: 'Always 1; its labels tell what this compute is attached to.',
  },
  compute_lsn_lease_expiry_seconds: {
    type: 'gauge',
    labels: [],
    help: 'When the lease of the LSN of a static compute ends, in seconds since 1970; 0 while there is none.',
  },
  compute_lsn_lease_requests_total: {
    type: 'counter',
    labels: ['outcome'],
    help: 'Requests to lease the LSN of a static compute: granted, refused or failed.',
  },
  compute_pg_downtime_incidents_total: {
    type: 'counter',
    labels: ['reason', 'sqlstate'],
    help: 'Downtimes of Postgres that began, by the reason of the first failed check; sqlstate is empty for the others.',
  },
  compute_pg_check_duration_seconds: {
    type: 'histogram',
    labels: ['check'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
    help: 'How long a check of Postgres took, failed ones included: activity on the kept connection, connect on a new one.',
  },
} as const satisfies Record<string, MetricDefinition>;

type Definitions = typeof metricDefinitions;
export type MetricName = keyof Definitions;
type OfType<T extends MetricDefinition['type']> = {
  [N in MetricName]: Definitions[N]['type'] extends T ? N : never;
}[MetricName];
export type CounterName = OfType<'counter'>;
export type GaugeName = OfType<'gauge'>;
export type HistogramName = OfType<'histogram'>;
export type Unlabelled = {
  [N in CounterName | GaugeName]: Definitions[N]['labels'] extends readonly [] ? N : never;
}[CounterName | GaugeName];

/** Exactly the labels that the definition names. */
export type Labels<N extends MetricName> = { readonly [L in Definitions[N]['labels'][number]]: string };
/** The trailing parameter for the labels: none at all for a metric without labels. */
export type LabelArgs<N extends MetricName> = Definitions[N]['labels'] extends readonly []
  ? []
  : [labels: Labels<N>];
