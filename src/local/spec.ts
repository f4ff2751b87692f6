import { standbyName } from './storage/compute-link.ts';
import type { LocalDir, LocalState, Ports } from './state.ts';

type Vartype = 'string' | 'integer' | 'bool' | 'enum';

/** PGDATA is a cache that every start makes anew from the storage, so nothing in it has to survive a crash of the
 *  machine: `fsync` and `full_page_writes` are off. A commit is durable because the storage has fsynced its WAL before
 *  `synchronous_commit` lets it return. Base backups switch full page writes on by themselves while they run. */
function settings(dir: LocalDir, ports: Ports): { name: string; value: string; vartype: Vartype }[] {
  const table: readonly (readonly [name: string, value: string, vartype: Vartype])[] = [
    ['port', String(ports.postgres), 'integer'],
    ['listen_addresses', '127.0.0.1', 'string'],
    ['unix_socket_directories', dir.run, 'string'],
    ['unix_socket_permissions', '0700', 'integer'],
    ['max_connections', '100', 'integer'],
    ['shared_buffers', '128MB', 'string'],
    ['wal_level', 'replica', 'enum'],
    ['synchronous_standby_names', standbyName, 'string'],
    ['synchronous_commit', 'on', 'enum'],
    ['fsync', 'off', 'bool'],
    ['full_page_writes', 'off', 'bool'],
    ['max_wal_senders', '10', 'integer'],
    ['max_replication_slots', '10', 'integer'],
    // Segments are small here; without this a busy compute would checkpoint every few seconds.
    ['max_wal_size', '1GB', 'string'],
    ['wal_keep_size', '64MB', 'string'],
    ['password_encryption', 'scram-sha-256', 'enum'],
    ['log_line_prefix', '%m [%p] ', 'string'],
  ];
  return table.map(([name, value, vartype]) => ({ name, value, vartype }));
}

/** The control plane's answer for the local compute.
 *  @see https://github.com/neondatabase/neon for the format, which `docs/reference` describes field by field */
export function localSpec(dir: LocalDir, state: LocalState, ports: Ports): unknown {
  const pageserver = `postgresql://no_user@127.0.0.1:${ports.pageserver}`;
  const { x } = state.signingKey;
  return {
    status: 'attached',
    spec: {
      format_version: 1,
      suspend_timeout_seconds: 0,
      mode: 'Primary',
      cluster: {
        cluster_id: state.computeId,
        roles: [{ name: state.user, encrypted_password: state.passwordVerifier, options: null }],
        databases: [{ name: state.database, owner: state.user, options: null }],
        settings: settings(dir, ports),
      },
      tenant_id: state.tenantId,
      timeline_id: state.timelineId,
      endpoint_id: state.computeId,
      pageserver_connection_info: {
        shard_count: 0,
        stripe_size: null,
        shards: { '0000': { pageservers: [{ id: 1, libpq_url: pageserver, grpc_url: null }] } },
        prefer_protocol: 'libpq',
      },
      safekeeper_connstrings: [`127.0.0.1:${ports.safekeeper}`],
      storage_auth_token: state.storageToken,
    },
    compute_ctl_config: {
      jwks: { keys: [{ kty: 'OKP', crv: 'Ed25519', x, alg: 'EdDSA', use: 'sig', kid: 'compute-local' }] },
    },
  };
}
