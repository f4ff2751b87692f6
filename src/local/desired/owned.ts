/** Why a setting cannot be given: it belongs to compute-local, to compute_ctl, or to the storage. */
const reasons: readonly (readonly [names: readonly string[], why: string])[] = [
  [['port'], 'it is chosen with: compute-local up --port'],
  [['listen_addresses'], 'it is chosen with: compute-local up --listen-all'],
  [
    ['unix_socket_directories', 'unix_socket_permissions', 'unix_socket_group'],
    'the socket is in a directory that only the OS user can enter',
  ],
  [
    ['fsync', 'full_page_writes', 'synchronous_commit', 'synchronous_standby_names', 'wal_sync_method'],
    'with it the storage keeps its promise that no acknowledged commit is lost',
  ],
  [
    ['max_slot_wal_keep_size', 'idle_replication_slot_timeout', 'wal_keep_size'],
    'the storage needs the WAL until it has received it',
  ],
  [
    [
      'primary_conninfo',
      'primary_slot_name',
      'restore_command',
      'archive_cleanup_command',
      'recovery_end_command',
      'hot_standby',
      'wal_receiver_status_interval',
      'wal_retrieve_retry_interval',
      'promote_trigger_file',
    ],
    'replicas get their WAL from the storage with it',
  ],
  [
    ['archive_mode', 'archive_command', 'archive_library'],
    'the storage receives the WAL; a second archive would fill the data directory when it fails',
  ],
  [['include', 'include_dir', 'include_if_exists'], 'it is not a setting: it would read another file'],
  [['default_transaction_read_only'], 'the storage stops writes with it when the disk is nearly full'],
  [['password_encryption'], 'pg_hba.conf allows scram-sha-256 only'],
  [
    ['data_directory', 'config_file', 'hba_file', 'ident_file', 'external_pid_file'],
    'every start creates the data directory and these files anew',
  ],
  [
    ['logging_collector', 'log_destination', 'log_directory', 'log_filename', 'event_source'],
    'the log goes to compute_ctl, and from there to the directory log',
  ],
];

const byName: ReadonlyMap<string, string> = new Map(
  reasons.flatMap(([names, why]) => names.map((name) => [name, why] as const)),
);

/** Null for a setting that may be given. */
export function whyOwned(name: string): string | null {
  const known = byName.get(name);
  if (known !== undefined) return known;
  if (name.startsWith('recovery_')) return 'the storage decides what is recovered';
  if (name.startsWith('neon.')) return 'compute_ctl sets it';
  if (name === 'ssl' || name.startsWith('ssl_')) return 'TLS is not offered by compute-local';
  return null;
}

/** What a setting must be at least, or may be, so that the storage works. Null: the value will do, or only PostgreSQL can say. */
export function whyUnusable(name: string, value: string): string | null {
  if (name === 'wal_level' && value.toLowerCase() === 'minimal')
    return 'must be "replica" or "logical": the storage receives the WAL';
  const slots = name === 'max_wal_senders' || name === 'max_replication_slots';
  // Also as PostgreSQL reads `0x3` and `3.2`.
  if (slots && Number(value) < leastSenders)
    return `must be ${leastSenders} or more: the storage and replicas use some`;
  return null;
}

const leastSenders = 5;
