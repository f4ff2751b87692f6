import type { MetricDefinition } from './definition.ts';

/** What Postgres says about itself, every 15 seconds while the monitor runs. What cannot be read keeps its last value. */
export const postgresMetrics = {
  compute_pg_connections: {
    type: 'gauge',
    labels: ['state'],
    help: "Connections of clients, compute_ctl's own included: active, idle, idle_in_transaction or other.",
  },
  compute_pg_connections_limit: {
    type: 'gauge',
    labels: [],
    help: 'Connections that ordinary roles can have: max_connections without the reserved ones; 0 until it was read.',
  },
  compute_pg_longest_transaction_seconds: {
    type: 'gauge',
    labels: [],
    help: 'Age of the oldest open transaction of a client; 0 without one.',
  },
  compute_pg_xid_age: {
    type: 'gauge',
    labels: [],
    help: 'Transactions since the oldest one that is not frozen, of all databases. Writes end near 2 billion.',
  },
  compute_pg_transactions_total: {
    type: 'counter',
    labels: ['outcome'],
    help: 'Transactions of all databases: commit or rollback.',
  },
  compute_pg_deadlocks_total: {
    type: 'counter',
    labels: [],
    help: 'Deadlocks that Postgres has ended.',
  },
  compute_pg_blocks_total: {
    type: 'counter',
    labels: ['from'],
    help: 'Blocks that were read, from the cache (shared_buffers) or from the storage.',
  },
  compute_pg_temporary_bytes_total: {
    type: 'counter',
    labels: [],
    help: 'Bytes that queries have written to temporary files.',
  },
  compute_pg_wal_written_bytes_total: {
    type: 'counter',
    labels: [],
    help: 'The position in the WAL: written on a primary, replayed on a replica.',
  },
  compute_pg_wal_bytes: {
    type: 'gauge',
    labels: [],
    help: "Size of the WAL files in the data directory's pg_wal.",
  },
  compute_pg_slots_retained_bytes: {
    type: 'gauge',
    labels: [],
    help: 'WAL that is kept for the replication slot that is furthest behind; 0 without slots.',
  },
  compute_pg_walsender_lag_bytes: {
    type: 'gauge',
    labels: ['application'],
    help: 'WAL that a receiver (the storage, a replica) has not flushed yet, by application name; the 20 furthest behind.',
  },
  compute_pg_in_recovery: {
    type: 'gauge',
    labels: [],
    help: '1 on a replica or static node, 0 on a primary.',
  },
  compute_pg_replay_lag_seconds: {
    type: 'gauge',
    labels: [],
    help: 'Of a replica: age of the latest replayed transaction while there is WAL to replay; 0 otherwise.',
  },
  compute_pg_disk_bytes: {
    type: 'gauge',
    labels: ['what'],
    help: "Bytes on the data directory's disk: free (for ordinary users) and total.",
  },
  compute_pg_certificate_expiry_seconds: {
    type: 'gauge',
    labels: ['file'],
    help: 'Seconds until the TLS certificate of Postgres expires; negative after that, absent without TLS. The file is the one that ssl_cert_file names.',
  },
} as const satisfies Record<string, MetricDefinition>;
