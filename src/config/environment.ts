export interface EnvironmentEntry {
  readonly doc: string;
  /** Nothing reads it yet: the issue that will, or `later`. */
  readonly implementedBy?: number | 'later';
}

/** Variables that are no option's default. */
export const environment = {
  NEON_CONTROL_PLANE_TOKEN: { doc: 'Bearer token for the control plane, read at each pull.' },
  INSTANCE_ID: {
    doc: 'In lakebase mode, and only there, it switches authentication of the external server off, with a warning.',
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
  OTEL_SDK_DISABLED: { doc: '`true` switches tracing off, which is off as yet anyway.' },
  OTEL_EXPORTER_OTLP_ENDPOINT: { doc: 'Collector of traces.', implementedBy: 'later' },
  TRACEPARENT: { doc: 'Parent of the trace of the start.', implementedBy: 'later' },
  TRACESTATE: { doc: 'Goes with TRACEPARENT.', implementedBy: 'later' },
  FAILPOINTS: {
    doc: 'Points of failure for tests, `name=actions` joined by `;`. Read with --enable-failpoints.',
  },
} as const satisfies Record<string, EnvironmentEntry>;

export const environmentEntries = Object.entries(environment) as readonly [string, EnvironmentEntry][];
