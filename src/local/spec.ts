import { formatConninfo, formatUrl } from '../pg/libpq-write.ts';
import type { Accepted } from './desired/accepted.ts';
import { type WantedParts, wantedParts } from './desired/to-spec.ts';
import { readOnlySetting, standbyName } from './storage/compute-link.ts';
import { timelineDir } from './storage/layout.ts';
import { tlsFilesOf } from './started.ts';
import type { LocalDir, LocalState } from './state.ts';

type Vartype = 'string' | 'integer' | 'bool' | 'enum';
type SettingRow = readonly [name: string, value: string, vartype: Vartype];
interface Setting {
  readonly name: string;
  readonly value: string;
  readonly vartype: Vartype;
}

/** The role of a compute on the local storage: primary, replica or static node. */
export type LocalRole = 'primary' | 'replica' | { readonly atLsn: string };

/** PGDATA is a cache that every start creates again from the storage, so it need not survive a crash of the machine:
 *  `fsync` and `full_page_writes` are off. A commit is durable because, with `synchronous_commit`, it returns only after
 *  the storage has fsynced its WAL. While a base backup runs, PostgreSQL writes full pages anyway. */
function settings(dir: LocalDir, state: LocalState, role: LocalRole, writesStopped: boolean): Setting[] {
  const { ports } = state;
  const table: SettingRow[] = [
    ['port', String(ports.postgres), 'integer'],
    ['listen_addresses', addressesFor(state), 'string'],
    ['unix_socket_directories', dir.run, 'string'],
    ['unix_socket_permissions', '0700', 'integer'],
    ['max_connections', '100', 'integer'],
    ['shared_buffers', '128MB', 'string'],
    ['wal_level', 'replica', 'enum'],
    ['synchronous_commit', 'on', 'enum'],
    ['fsync', 'off', 'bool'],
    ['full_page_writes', 'off', 'bool'],
    ['max_wal_senders', '10', 'integer'],
    ['max_replication_slots', '10', 'integer'],
    // Segments are small here; without this, a busy compute would have a checkpoint every few seconds.
    ['max_wal_size', '1GB', 'string'],
    ['wal_keep_size', '64MB', 'string'],
    ['password_encryption', 'scram-sha-256', 'enum'],
    ['log_line_prefix', '%m [%p] ', 'string'],
    ...(role === 'primary' ? primarySettings : standbySettings(dir, state, role)),
    ...(writesStopped ? stoppedSettings : []),
  ];
  return table.map(([name, value, vartype]) => ({ name, value, vartype }));
}

/** What compute.json sets takes the place of a default; `owned.ts` keeps it from the rest. */
function merged(
  own: readonly Setting[],
  wanted: WantedParts['settings'],
): readonly WantedParts['settings'][number][] {
  const names = new Set(wanted.map(({ name }) => name));
  return [...own.filter(({ name }) => !names.has(name)), ...wanted];
}

function addressesFor({ front, listenAll }: LocalState): string {
  if (front === true) return '';
  return listenAll === true ? '*' : '127.0.0.1';
}

const stoppedSettings: SettingRow[] = [[readOnlySetting, 'on', 'bool']];

const primarySettings: SettingRow[] = [['synchronous_standby_names', standbyName, 'string']];

/** A standby gets its WAL only from the storage: WAL that the storage does not have was never acknowledged, and may be
 *  lost at the primary's next start. */
function standbySettings(
  dir: LocalDir,
  state: LocalState,
  role: Exclude<LocalRole, 'primary'>,
): SettingRow[] {
  const timeline = timelineDir(dir.storage, state.tenantId, state.timelineId).root;
  const rows: SettingRow[] = [
    ['primary_conninfo', streamFrom(state), 'string'],
    // The storage does not read the replies, and sends its own messages often enough.
    ['wal_receiver_status_interval', '0', 'integer'],
    ['restore_command', restoreCommand(timeline), 'string'],
    ['recovery_target_timeline', 'latest', 'string'],
    ['wal_retrieve_retry_interval', '500', 'integer'],
    ['hot_standby', 'on', 'bool'],
  ];
  if (role === 'replica') return rows;
  // The data at an LSN is the data of all records before it, without the record that begins there.
  return [...rows, ['recovery_target_inclusive', 'off', 'bool'], ['recovery_target_action', 'pause', 'enum']];
}

/** The storage's safekeeper, addressed as by a Neon standby. */
const streamFrom = ({ ports, tenantId, timelineId, storageToken }: LocalState): string =>
  formatConninfo({
    host: '127.0.0.1',
    port: ports.safekeeper,
    user: 'no_user',
    password: storageToken,
    sslmode: 'disable',
    gssencmode: 'disable',
    options: `-c timeline_id=${timelineId} tenant_id=${tenantId}`,
  });

/** Copies a segment from the storage, the last one as far as it was received. The receiver may rename it to its final
 *  name at any moment, so the command tries once more. Each PG timeline has its own directory there, named as in `walDir`; the
 *  number is the first eight hexadecimal digits of the file's name. A directory such as `wal-old` is somebody else's. */
export function restoreCommand(timeline: string): string {
  const root = timeline.replaceAll("'", String.raw`'\''`).replaceAll('%', '%%');
  const where = 'f=%f; n=$((0x${f%%"${f#????????}"})); d=wal; [ $n = 1 ] || d=wal-$n';
  const tries = ['%f', '%f.partial', '%f'].map((file) => `cp '${root}'/$d/${file} "%p"`);
  return `${where}; (${tries.join(' || ')}) 2>/dev/null`;
}

export interface LocalSpecOptions {
  /** For the storage. */
  readonly token?: string;
  readonly writesStopped?: boolean;
  /** What compute.json adds; null: nothing. */
  readonly wanted?: Accepted | null;
}

/** The control plane's answer for the local compute.
 *  @see https://github.com/neondatabase/neon for the format, which `docs/reference` describes field by field */
export function localSpec(
  dir: LocalDir,
  state: LocalState,
  role: LocalRole = 'primary',
  { token = state.storageToken, writesStopped = false, wanted = null }: LocalSpecOptions = {},
): unknown {
  const { ports } = state;
  // A front speaks TLS itself, and Postgres is behind it.
  const tls = state.front === true ? null : tlsFilesOf(state.started);
  const parts = wantedParts(state, wanted, role !== 'primary');
  const pageserver = formatUrl({ user: 'no_user', host: '127.0.0.1', port: ports.pageserver });
  const { x } = state.signingKey;
  return {
    status: 'attached',
    spec: {
      format_version: 1,
      suspend_timeout_seconds: 0,
      ...(tls !== null && { features: ['tls_experimental'] }),
      mode: modeOf(role),
      cluster: {
        cluster_id: state.computeId,
        roles: parts.roles,
        databases: parts.databases,
        settings: merged(settings(dir, state, role, writesStopped), parts.settings),
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
      storage_auth_token: token,
    },
    compute_ctl_config: {
      ...(tls !== null && { tls: { key_path: tls.keyPath, cert_path: tls.certPath } }),
      jwks: { keys: [{ kty: 'OKP', crv: 'Ed25519', x, alg: 'EdDSA', use: 'sig', kid: 'compute-local' }] },
    },
  };
}

function modeOf(role: LocalRole): unknown {
  if (role === 'primary') return 'Primary';
  return role === 'replica' ? 'Replica' : { Static: role.atLsn };
}
