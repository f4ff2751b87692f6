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

/** Features that have an effect; any other name is accepted and does nothing. */
export const knownFeatures: readonly string[] = ['activity_monitor_experimental', 'tls_experimental'];

export const ComputeSpec = v.pipe(
  v.object({
    format_version: required(v.number(), 'Version of the format, `1.0`.'),
    operation_uuid: optional(v.string(), 'Operation of the control plane, for logs.'),
    features: fallback(
      v.array(v.string()),
      [],
      'Feature flags: `activity_monitor_experimental`, `tls_experimental`; others do nothing.',
    ),
    swap_size_bytes: optional(bytes(), 'Size of the swap, with `--resize-swap-on-bind`.'),
    disk_quota_bytes: optional(bytes(), 'Disk quota, with `--set-disk-quota-for-fs`; 0 switches it off.'),
    disable_lfc_resizing: optional(v.boolean(), 'The vm-monitor leaves the file cache alone.'),
    cluster: required(Cluster, 'Roles, databases and settings of Postgres.'),
    delta_operations: optional(v.array(DeltaOp), 'One-off renames and removals.'),
    skip_pg_catalog_updates: fallback(v.boolean(), false, 'Do no SQL work at start and at reconfiguration.'),
    tenant_id: optional(hexId(), 'Tenant in the storage.'),
    timeline_id: optional(hexId(), 'Timeline in the storage.'),
    pageserver_connection_info: optional(PageserverConnectionInfo, 'Where the pageservers are.'),
    pageserver_connstring: optional(
      secret(),
      'Older form: connection strings, one for each shard, split at commas.',
    ),
    shard_stripe_size: optional(uint32(), 'Pages of one stripe; goes with `pageserver_connstring`.'),
    project_id: optional(v.string(), 'Id of the project.'),
    branch_id: optional(v.string(), 'Id of the branch.'),
    endpoint_id: optional(v.string(), 'Id of the endpoint.'),
    safekeepers_generation: optional(uint32(), 'Generation of the set of safekeepers.'),
    safekeeper_connstrings: fallback(v.array(v.string()), [], 'Safekeepers, `host:port` each.'),
    mode: fallback(
      ComputeMode,
      'Primary',
      '`"Primary"` writes; `"Replica"` follows; `{"Static": "0/1698F48"}` reads at one LSN.',
    ),
    storage_auth_token: optional(secret(), 'Password for pageservers and safekeepers.'),
    remote_extensions: optional(RemoteExtensions, 'Extensions that can be downloaded.'),
    pgbouncer_settings: optional(v.record(v.string(), secret()), 'Options of the section `[pgbouncer]`.'),
    local_proxy_config: optional(LocalProxyConfig, 'Configuration of local_proxy.'),
    reconfigure_concurrency: fallback(
      bytes(),
      1,
      'Databases worked on at the same time while reconfiguring; 0 counts as 1.',
    ),
    drop_subscriptions_before_start: fallback(
      v.boolean(),
      false,
      'Drop logical subscriptions, once for each timeline.',
    ),
    audit_log_level: fallback(
      v.picklist(['Disabled', 'Log', 'Base', 'Hipaa', 'Extended', 'Full']),
      'Disabled',
      'How much the audit log holds. `Log` is the old name of `Base`, `Hipaa` of `Extended`.',
    ),
    logs_export_host: optional(v.string(), 'Collector of logs, `host:port`.'),
    endpoint_storage_addr: optional(v.string(), 'Endpoint storage, `host:port`, plain HTTP.'),
    endpoint_storage_token: optional(secret(), 'Bearer token for the endpoint storage.'),
    autoprewarm: fallback(v.boolean(), false, 'Prewarm the file cache after the start.'),
    offload_lfc_interval_seconds: optional(
      int(1, Number.MAX_SAFE_INTEGER),
      'Interval of saving the state of the file cache.',
    ),
    suspend_timeout_seconds: required(
      int(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
      'Interval of the extension statistics; 3600 is used for 0 and below. Older specs lack it, which counts as 0 with `--spec` and `--spec-path`.',
    ),
    databricks_settings: optional(DatabricksSettings, 'Settings of lakebase mode.'),
  }),
  notes({ ignored: ['timestamp'] }),
);

/** A bare spec of the older command line, which may lack the youngest required field. */
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
