export interface EnvironmentEntry {
  readonly doc: string;
  /** Nothing reads it yet: the issue that will, or `later`. */
  readonly implementedBy?: number | 'later';
}

/** Variables that are not the default of an option. */
export const environment = {
  NEON_CONTROL_PLANE_TOKEN: { doc: 'Bearer token for the control plane, read at each pull.' },
  INSTANCE_ID: {
    doc: 'In lakebase mode, and only there, it switches authentication of the external server off, with a warning, and is a label of `pg_cctl_attached`.',
  },
  RUST_LOG: {
    doc: 'Log level: `error`, `warn`, `info`, `debug`, `trace`, `off`, or `compute_ctl=debug`. Anything else means `info`.',
  },
  HTTP_PROXY: { doc: 'Proxy for requests to http URLs. Lower case works too, as for the next three.' },
  HTTPS_PROXY: { doc: 'Proxy for requests to https URLs.' },
  ALL_PROXY: { doc: 'Proxy for both, where the other two are not set.' },
  NO_PROXY: { doc: 'Hosts that are reached without a proxy.' },
  PATH: { doc: 'Where programs are found.' },
  BUILD_TAG: { doc: 'Only when building: the version that metrics show.' },
  AUTOSCALING: {
    doc: 'Set, even empty: run as in a VM that is scaled: Postgres in a control group, the vm-monitor beside it.',
  },
  PGBOUNCER_PASSWORD: { doc: 'Password of the admin console of pgbouncer.', implementedBy: 'later' },
  AUDIT_LOGGING_ENDPOINT: { doc: 'Collector of the audit log, `host:port`.', implementedBy: 'later' },
  AUDIT_LOGGING_TLS_ENDPOINT: { doc: 'The same over TLS; wins.', implementedBy: 'later' },
  COMPUTE_CTL_LOG_DIRECTORY: {
    doc: 'Only in lakebase mode: directory for log files.',
    implementedBy: 'later',
  },
  OTEL_EXPORTER_OTLP_ENDPOINT: {
    doc: 'Collector of traces, OTLP over HTTP with JSON; `/v1/traces` is added. Without it or the next there is no tracing.',
  },
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: { doc: 'The same as a whole URL; wins.' },
  OTEL_EXPORTER_OTLP_HEADERS: { doc: 'Headers for the collector, `name=value` joined by commas.' },
  OTEL_EXPORTER_OTLP_TIMEOUT: { doc: 'Milliseconds for one export.' },
  OTEL_TRACES_SAMPLER: {
    doc: 'Which traces are kept, with its argument in OTEL_TRACES_SAMPLER_ARG: `parentbased_always_on` and the other standard names.',
  },
  OTEL_RESOURCE_ATTRIBUTES: { doc: 'Added to every trace, `name=value` joined by commas.' },
  OTEL_SDK_DISABLED: { doc: '`true` switches tracing off.' },
  TRACEPARENT: { doc: 'Parent of the trace of a start whose spec is there from the beginning.' },
  TRACESTATE: { doc: 'Goes with TRACEPARENT.' },
  FAILPOINTS: {
    doc: 'Points of failure for tests, `name=actions` joined by `;`. Read with --enable-failpoints.',
  },
} as const satisfies Record<string, EnvironmentEntry>;

export const environmentEntries = Object.entries(environment) as readonly [string, EnvironmentEntry][];
