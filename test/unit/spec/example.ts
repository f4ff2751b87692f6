/** A spec that uses every field once; ids and names are made up. A fresh copy at each call, to be changed freely. */
export const fullConfig = () => ({
  spec: {
    format_version: 1.0,
    timestamp: '2026-01-02T03:04:05Z',
    operation_uuid: '5b2f7c1e-5f43-4d0e-9a51-0c7f1a2b3c4d',
    features: ['tls_experimental', 'flag_of_tomorrow', 'flag_of_tomorrow'],
    swap_size_bytes: 1073741824,
    disk_quota_bytes: 0,
    disable_lfc_resizing: true,
    cluster: {
      cluster_id: 'misty-lake-7',
      name: 'orders',
      state: 'running',
      roles: [
        { name: 'orders_owner', encrypted_password: 'SCRAM-SHA-256$4096:c2FsdA==$a2V5:a2V5', options: null },
        { name: 'reader', encrypted_password: null },
      ],
      databases: [
        {
          name: 'orders',
          owner: 'orders_owner',
          restrict_conn: false,
          invalid: false,
          options: [{ name: 'TEMPLATE', value: 'template0', vartype: 'enum' }],
        },
      ],
      postgresql_conf: null,
      settings: [
        { name: 'max_connections', value: '100', vartype: 'integer' },
        { name: 'neon.endpoint_storage_token', value: 'token-in-settings', vartype: 'string' },
        { name: 'without_value', value: null, vartype: 'string' },
      ],
    },
    delta_operations: [{ action: 'rename_role', name: 'old_reader', new_name: 'reader' }],
    skip_pg_catalog_updates: false,
    tenant_id: '3AA8FCC61F6D357410B7DE754B1D9001',
    timeline_id: '641e5342083b2235ee3deb8066819683',
    pageserver_connection_info: {
      shard_count: 2,
      stripe_size: 32768,
      shards: {
        '0002': { pageservers: [{ id: 1, libpq_url: 'postgresql://u:pw-in-url@ps1:6400', grpc_url: null }] },
        '0102': { pageservers: [{ id: 2, libpq_url: 'postgresql://ps2:6400' }] },
      },
    },
    project_id: 'misty-lake-7',
    branch_id: 'br-1',
    endpoint_id: 'ep-1',
    safekeepers_generation: 0,
    safekeeper_connstrings: ['sk1:6500', ' sk2:6500 ', 'sk3:6500'],
    mode: 'Primary' as unknown,
    storage_auth_token: 'storage-token',
    remote_extensions: {
      library_index: { lib: 'ext' },
      extension_data: {
        ext: { archive_path: 'a/b.tar.zst', control_data: { 'ext.control': 'trusted = true' } },
      },
    },
    pgbouncer_settings: { pool_mode: 'session' },
    local_proxy_config: {
      jwks: [{ id: '1', role_names: ['reader'], jwks_url: 'http://idp/keys', provider_name: 'idp' }],
    },
    reconfigure_concurrency: 0,
    audit_log_level: 'Hipaa',
    endpoint_storage_token: 'endpoint-token',
    offload_lfc_interval_seconds: 1,
    suspend_timeout_seconds: 120,
  },
  compute_ctl_config: {
    jwks: {
      keys: [
        {
          kty: 'OKP',
          crv: 'Ed25519',
          x: 'Macgtk-U4VKC_8U4OKXPzyIG6YSJHMbwSi74DJXF6nE',
          alg: 'EdDSA',
          kid: null,
        },
      ],
    },
    tls: null,
  },
});

const setting = (name: string, value: string | null) => ({ name, value, vartype: 'string' });

/** The least a spec needs: everything from settings, as older control planes write it. */
export const leastSpec = () => ({
  format_version: 1,
  suspend_timeout_seconds: -1,
  cluster: {
    roles: [],
    databases: [],
    settings: [
      setting('neon.tenant_id', '3aa8fcc61f6d357410b7de754b1d9001'),
      setting('neon.timeline_id', '641e5342083b2235ee3deb8066819683'),
      setting('neon.pageserver_connstring', 'host=ps port=6400'),
      setting('neon.safekeepers', 'sk1:5454,sk2:5454,sk3:5454'),
    ],
  },
});
