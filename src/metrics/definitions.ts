import type { MetricDefinition } from './definition.ts';
import { postgresMetrics } from './postgres-definitions.ts';

export type { MetricDefinition } from './definition.ts';

/** Every metric that is served, in the order of `GET /metrics`. One without labels is there from the first scrape, starting at 0;
 *  one with labels appears with its first sample. */
export const metricDefinitions = {
  compute_ctl_up: {
    type: 'gauge',
    labels: ['build_tag', 'status'],
    help: "Always 1; the labels give the build and the compute's current status.",
  },
  compute_ctl_cplane_requests_total: {
    type: 'counter',
    labels: ['http_status', 'rpc'],
    help: 'Requests to the control plane, by call and outcome; unknown: without an answer.',
  },
  compute_ctl_log_lines_dropped_total: {
    type: 'counter',
    labels: [],
    help: 'Log lines that were dropped because the reader of stderr was too slow.',
  },
  compute_ctl_remote_ext_requests_total: {
    type: 'counter',
    labels: ['filename', 'http_status'],
    help: 'Requests for extension archives, by file and outcome; unknown: without an answer.',
  },
  compute_ctl_lfc_prewarms_total: {
    type: 'counter',
    labels: [],
    help: 'Prewarms of the local file cache that were accepted.',
  },
  compute_ctl_lfc_prewarm_errors_total: {
    type: 'counter',
    labels: [],
    help: 'Prewarms of the local file cache that failed.',
  },
  compute_ctl_lfc_offloads_total: {
    type: 'counter',
    labels: [],
    help: "Started saves of the local file cache's state.",
  },
  compute_ctl_lfc_offload_errors_total: {
    type: 'counter',
    labels: [],
    help: "Failed saves of the local file cache's state.",
  },
  compute_installed_extensions: {
    type: 'gauge',
    labels: ['extension_name', 'owned_by_superuser', 'version'],
    help: 'Number of databases with this version of the extension.',
  },
  compute_ctl_db_migration_failed_total: {
    type: 'counter',
    labels: ['migration_id'],
    help: 'Failed migrations of the system catalogs.',
  },
  compute_ctl_failed_databases: {
    type: 'gauge',
    labels: [],
    help: 'Databases that are not as the spec asks, because the latest catalog pass failed in them; GET /status names them.',
  },
  compute_pg_current_downtime_ms: {
    type: 'gauge',
    labels: [],
    help: 'Duration of the current downtime of Postgres in milliseconds; 0 while Postgres answers.',
  },
  compute_pg_downtime_ms_total: {
    type: 'counter',
    labels: [],
    help: 'Total downtime of Postgres in milliseconds, since it first ran.',
  },
  compute_pg_full: {
    type: 'gauge',
    labels: [],
    help: '1 while Postgres answers that it has no free connection. That is not downtime.',
  },
  compute_pg_commits_stuck_ms: {
    type: 'gauge',
    labels: [],
    help: 'For how many milliseconds commits have not returned, because the storage or the synchronous standby does not acknowledge them; 0 while they return.',
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
    help: 'Anonymous memory in the control group of Postgres, averaged over the last samples.',
  },
  compute_ctl_vm_monitor_threshold_bytes: {
    type: 'gauge',
    labels: [],
    help: 'Memory use at which the vm-monitor asks for more memory.',
  },
  compute_ctl_vm_monitor_file_cache_bytes: {
    type: 'gauge',
    labels: [],
    help: 'Size that the vm-monitor last set for the local file cache.',
  },
  compute_ctl_vm_monitor_failed_samples_total: {
    type: 'counter',
    labels: [],
    help: 'Failed attempts to read the memory use.',
  },
  compute_ctl_vm_monitor_requests_total: {
    type: 'counter',
    labels: ['outcome', 'type'],
    help: 'Messages from the autoscaler agent, by type and outcome: ok, refused, failed or invalid.',
  },
  compute_ctl_vm_monitor_refusals_total: {
    type: 'counter',
    labels: ['reason'],
    help: 'Downscales that were refused or failed, by reason.',
  },
  compute_ctl_vm_monitor_upscale_requests_total: {
    type: 'counter',
    labels: [],
    help: 'Requests for more memory that the vm-monitor has sent.',
  },
  compute_ctl_vm_informant_starts_total: {
    type: 'counter',
    labels: [],
    help: 'Starts of the vm-informant of older images.',
  },
  pg_cctl_pagestream_request_errors_total: {
    type: 'counter',
    labels: [],
    help: 'Requests to fetch the configuration again, sent when Postgres cannot reach its pageserver.',
  },
  pg_cctl_configure_statement_timeout_errors_total: {
    type: 'counter',
    labels: [],
    help: "A configuration's statements that the server canceled because of their timeout.",
  },
  pg_cctl_attached: {
    type: 'gauge',
    labels: ['pg_compute_id', 'pg_instance_id', 'tenant_id', 'timeline_id'],
    help: 'Always 1; the labels give what this compute is attached to.',
  },
  compute_lsn_lease_expiry_seconds: {
    type: 'gauge',
    labels: [],
    help: "When a static compute's LSN lease ends, in seconds since 1970; 0 while there is no lease.",
  },
  compute_lsn_lease_requests_total: {
    type: 'counter',
    labels: ['outcome'],
    help: "Requests for a static compute's LSN lease, by outcome: granted, refused or failed.",
  },
  compute_audit_log_dir_size: {
    type: 'gauge',
    labels: [],
    help: "Bytes of the log files in the directory of the audit log, by default PGDATA's log; 0 without audit logging.",
  },
  compute_audit_log_unread_bytes: {
    type: 'gauge',
    labels: [],
    help: 'Bytes of audit files that rsyslogd has not read yet; it pauses while its collector is away.',
  },
  compute_audit_log_lost_bytes_total: {
    type: 'counter',
    labels: [],
    help: 'Bytes of audit files that rsyslogd is not known to have read before they were removed because of --audit-log-limit, or the audit ended.',
  },
  compute_tls_renewals_total: {
    type: 'counter',
    labels: ['outcome'],
    help: 'Renewals of the TLS key and certificate, by outcome: applied, or failed because the files cannot be used or somebody did not read them again.',
  },
  compute_storage_disk_bytes: {
    type: 'gauge',
    labels: ['what'],
    help: "Bytes on the storage's disk: free, total, and what its base backup and its WAL take; with --storage-status-uri only.",
  },
  compute_storage_troubles: {
    type: 'gauge',
    labels: ['kind', 'part'],
    help: '1 for each thing that is wrong with the storage; with --storage-status-uri only.',
  },
  compute_pg_downtime_incidents_total: {
    type: 'counter',
    labels: ['reason', 'sqlstate'],
    help: "Downtimes of Postgres that began, by the first failed check's reason; sqlstate is empty without an error from the server.",
  },
  compute_pg_check_duration_seconds: {
    type: 'histogram',
    labels: ['check'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
    help: 'Duration of the checks of Postgres, including failed ones: activity uses the kept connection, connect a new one.',
  },
  compute_ctl_start_phase_seconds: {
    type: 'gauge',
    labels: ['phase'],
    help: 'Duration of the latest start by phase, as GET /metrics.json has it; total is all of it.',
  },
  compute_ctl_http_requests_total: {
    type: 'counter',
    labels: ['path', 'status'],
    help: "Requests to both HTTP servers, by the route's path (other: no route) and the answer's status.",
  },
  ...postgresMetrics,
  process_start_time_seconds: {
    type: 'gauge',
    labels: [],
    help: 'When compute_ctl was started, in seconds since 1970.',
  },
  process_cpu_seconds_total: {
    type: 'counter',
    labels: [],
    help: 'CPU time of compute_ctl, without Postgres, in seconds.',
  },
  process_resident_memory_bytes: {
    type: 'gauge',
    labels: [],
    help: 'Resident memory of compute_ctl, without Postgres.',
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

/** Exactly the definition's labels. */
export type Labels<N extends MetricName> = { readonly [L in Definitions[N]['labels'][number]]: string };
/** The trailing parameter for the labels: none at all for a metric without labels. */
export type LabelArgs<N extends MetricName> = Definitions[N]['labels'] extends readonly []
  ? []
  : [labels: Labels<N>];
