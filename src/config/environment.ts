export interface EnvironmentEntry {
  readonly doc: string;
}

/** Variables that are not the default of an option. */
export const environment = {
  NEON_CONTROL_PLANE_TOKEN: { doc: 'Bearer token for the control plane, read at each request.' },
  INSTANCE_ID: {
    doc: "Only in lakebase mode: turns off the external server's authentication, with a warning, and is a label of `pg_cctl_attached`.",
  },
  RUST_LOG: {
    doc: 'Log level: `error`, `warn`, `info`, `debug`, `trace`, `off`, or `compute_ctl=debug`. Anything else means `info`.',
  },
  HTTP_PROXY: { doc: 'Proxy for requests to http URLs. This and the next three also work in lower case.' },
  HTTPS_PROXY: { doc: 'Proxy for requests to https URLs.' },
  ALL_PROXY: { doc: 'Proxy for http and https URLs, where HTTP_PROXY or HTTPS_PROXY is not set.' },
  NO_PROXY: { doc: 'Hosts that are reached without a proxy.' },
  PATH: { doc: 'Directories to search for programs.' },
  BUILD_TAG: { doc: 'Only for the build: the version that metrics show.' },
  AUTOSCALING: {
    doc: 'When set, even to nothing, compute_ctl runs as in an autoscaled VM: Postgres in a control group, with the vm-monitor.',
  },
  NOTIFY_SOCKET: {
    doc: "systemd's socket: when set, systemd is told READY, RELOADING, STOPPING and the state in words, by `systemd-notify`. Nothing that compute_ctl starts inherits it.",
  },
  WATCHDOG_USEC: {
    doc: 'Microseconds after which systemd restarts a compute_ctl whose event loop or monitor stands still.',
  },
  WATCHDOG_PID: { doc: 'The process that WATCHDOG_USEC is meant for.' },
  PGBOUNCER_PASSWORD: { doc: "Password of pgbouncer's admin console; not read with AUTOSCALING." },
  AUDIT_LOGGING_ENDPOINT: {
    doc: "The audit log's collector, `host:port`, for `audit_log_level` Hipaa, Extended and Full.",
  },
  AUDIT_LOGGING_TLS_ENDPOINT: {
    doc: 'The same over TLS; used instead of the other when both are set.',
  },
  COMPUTE_CTL_LOG_DIRECTORY: {
    doc: 'Only in lakebase mode: directory for copies of the log in JSON, one file a day, `pgcctl.2026-01-05`; the newest two stay.',
  },
  OTEL_EXPORTER_OTLP_ENDPOINT: {
    doc: 'URL that traces are sent to (OTLP over HTTP with JSON); `/v1/traces` is added. When neither this nor OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is set, tracing is off.',
  },
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: {
    doc: 'The same as a complete URL; used instead of the other when both are set.',
  },
  OTEL_EXPORTER_OTLP_HEADERS: { doc: 'Headers for the collector: `name=value`, separated by commas.' },
  OTEL_EXPORTER_OTLP_TIMEOUT: { doc: 'Timeout of one export, in milliseconds.' },
  OTEL_TRACES_SAMPLER: {
    doc: 'Which traces are kept: `parentbased_always_on` or another of the standard names; its argument is in OTEL_TRACES_SAMPLER_ARG.',
  },
  OTEL_RESOURCE_ATTRIBUTES: { doc: 'Attributes of every trace: `name=value`, separated by commas.' },
  OTEL_SDK_DISABLED: { doc: '`true` turns tracing off.' },
  TRACEPARENT: { doc: "Parent of the start's trace, when the spec is known from the beginning." },
  TRACESTATE: { doc: 'The `tracestate` that belongs to TRACEPARENT.' },
  FAILPOINTS: {
    doc: 'Failpoints for tests: `name=actions`, separated by `;`. Read only with --enable-failpoints.',
  },
} as const satisfies Record<string, EnvironmentEntry>;

export const environmentEntries = Object.entries(environment) as readonly [string, EnvironmentEntry][];
