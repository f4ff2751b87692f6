import * as v from 'valibot';
import { Cluster, DeltaOp } from './cluster.ts';
import { bytes, fallback, hexId, int, lsnText, notes, optional, required, secret, uint32 } from './kit.ts';
import { PageserverConnectionInfo } from './pageserver.ts';
import { DatabricksSettings, LocalProxyConfig, RemoteExtensions } from './services.ts';

const ComputeMode = v.pipe(
  v.union([
    v.picklist(['Primary', 'Replica']),
    v.strictObject({ Static: lsnText() }),
    v.strictObject({ Primary: v.null() }),
    v.strictObject({ Replica: v.null() }),
  ]),
  notes({ expected: '"Primary", "Replica" or {"Static": "<LSN>"}' }),
  v.transform((mode) => (typeof mode === 'string' || 'Static' in mode ? mode : modeName(mode))),
);

const modeName = (mode: object): 'Primary' | 'Replica' => ('Primary' in mode ? 'Primary' : 'Replica');

/** Features with an effect; any other name is accepted and ignored. */
export const knownFeatures: readonly string[] = ['activity_monitor_experimental', 'tls_experimental'];

export const ComputeSpec = v.pipe(
  v.object({
    format_version: required(v.number(), 'Version of the format, `1.0`.'),
    operation_uuid: optional(v.string(), "Id of the control plane's operation, for logs."),
    features: fallback(
      v.array(v.string()),
      [],
      'Feature flags: `activity_monitor_experimental`, `tls_experimental`; others are ignored.',
    ),
    swap_size_bytes: optional(bytes(), 'Size of the swap, with `--resize-swap-on-bind`.'),
    disk_quota_bytes: optional(bytes(), 'Disk quota, with `--set-disk-quota-for-fs`; 0 removes the quota.'),
    disable_lfc_resizing: optional(v.boolean(), 'The vm-monitor does not resize the file cache.'),
    cluster: required(Cluster, 'Roles, databases and settings of Postgres.'),
    delta_operations: optional(v.array(DeltaOp), 'One-off renames and removals.'),
    skip_pg_catalog_updates: fallback(
      v.boolean(),
      false,
      'Do not create or change roles, databases and other objects at a start or a reconfiguration.',
    ),
    tenant_id: optional(hexId(), "Id of the storage's tenant."),
    timeline_id: optional(hexId(), 'Id of the Neon timeline.'),
    pageserver_connection_info: optional(PageserverConnectionInfo, "The pageservers' addresses."),
    pageserver_connstring: optional(
      secret(),
      'Older form: connection strings, one for each shard, split at commas.',
    ),
    shard_stripe_size: optional(uint32(), 'Pages of one stripe; used with `pageserver_connstring`.'),
    project_id: optional(v.string(), 'Id of the project.'),
    branch_id: optional(v.string(), 'Id of the branch.'),
    endpoint_id: optional(v.string(), 'Id of the endpoint.'),
    safekeepers_generation: optional(uint32(), "The safekeeper set's generation."),
    safekeeper_connstrings: fallback(
      v.array(v.string()),
      [],
      'Safekeepers, `host:port` each. Of a URL `postgresql://…` only that part counts; URLs are ignored when the setting `neon.safekeepers` has addresses.',
    ),
    mode: fallback(
      ComputeMode,
      'Primary',
      '`"Primary"` reads and writes; `"Replica"` follows a primary, read-only; `{"Static": "0/1698F48"}` is read-only at one LSN.',
    ),
    storage_auth_token: optional(secret(), 'Password for pageservers and safekeepers.'),
    remote_extensions: optional(RemoteExtensions, 'Extensions that can be downloaded.'),
    pgbouncer_settings: optional(v.record(v.string(), secret()), 'Options of the section `[pgbouncer]`.'),
    local_proxy_config: optional(LocalProxyConfig, 'Configuration of local_proxy.'),
    reconfigure_concurrency: fallback(
      bytes(),
      1,
      'Number of databases changed at the same time in a reconfiguration; 0 counts as 1.',
    ),
    drop_subscriptions_before_start: fallback(
      v.boolean(),
      false,
      'Drop logical subscriptions, once for each Neon timeline.',
    ),
    audit_log_level: fallback(
      v.picklist(['Disabled', 'Log', 'Base', 'Hipaa', 'Extended', 'Full']),
      'Disabled',
      "The audit log's level of detail. `Log` is the old name of `Base`, `Hipaa` of `Extended`.",
    ),
    logs_export_host: optional(v.string(), 'Address that logs are sent to, `host:port`.'),
    endpoint_storage_addr: optional(v.string(), 'Endpoint storage, `host:port`, plain HTTP.'),
    endpoint_storage_token: optional(secret(), 'Bearer token for the endpoint storage.'),
    autoprewarm: fallback(v.boolean(), false, 'Prewarm the file cache after the start.'),
    offload_lfc_interval_seconds: optional(
      int(1, Number.MAX_SAFE_INTEGER),
      "How often the file cache's state is saved.",
    ),
    suspend_timeout_seconds: required(
      int(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
      "The extension statistics' interval; 0 and negative values count as 3600. Older specs do not have this field: with `--spec` and `--spec-path` it may be absent and counts as 0.",
    ),
    databricks_settings: optional(DatabricksSettings, 'Settings of lakebase mode.'),
  }),
  notes({ ignored: ['timestamp'] }),
);

/** A bare spec of the older command line, which may lack the newest required field. */
export const LegacySpec = v.pipe(
  v.object({
    ...ComputeSpec.entries,
    suspend_timeout_seconds: fallback(
      int(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
      0,
      'See `ComputeSpec`.',
    ),
  }),
  notes({ ignored: ['timestamp'] }),
);
