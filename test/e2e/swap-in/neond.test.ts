import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type Server, createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Secret } from '../../../src/core/secret.ts';
import { withPg } from '../../../src/pg/client.ts';
import { type Called, call, confText, faultsIn, installCtl, withoutNeons } from '../../support/callers.ts';
import { type Rig, killAllOf, processesIn, rig } from '../../support/compute.ts';
import { defaultPostgres, osUser } from '../../support/postgres-versions.ts';
import { eventually } from '../../support/program.ts';
import { makeCertificate } from '../../support/tls.ts';
import { watchersOf } from '../../support/watcher.ts';

const { bindir } = defaultPostgres();
const timeline = '641e5342083b2235ee3deb8066819683';

let it: Rig;
let dir: string;
let compute: Called | null;

beforeEach(async () => {
  it = await rig();
  // It makes a directory for each start that only its user can enter, with the certificates and `pg_hba.conf` in it.
  dir = mkdtempSync(join(it.home, `compute_${timeline}_`));
  makeCertificate(dir, 'localhost');
  const trusted = [
    'local all cloud_admin',
    'host all cloud_admin 127.0.0.1/32',
    'host all cloud_admin ::1/128',
  ];
  const others = ['hostssl all cloud_admin all', 'hostssl all neond all', 'host all all all'];
  const lines = [...trusted.map((line) => `${line} trust`), ...others.map((line) => `${line} scram-sha-256`)];
  writeFileSync(join(dir, 'pg_hba.conf'), `${lines.join('\n')}\n`);
  if (osUser !== null) execFileSync('chown', ['-R', `${osUser.uid}:${osUser.gid}`, dir]);
  compute = null;
});
afterEach(async () => {
  compute?.child.kill('SIGKILL');
  await compute?.exited();
  killAllOf(dir);
  await it.stop();
});

const conf = (): Record<string, string> => ({
  max_wal_senders: '10',
  wal_log_hints: 'off',
  max_replication_slots: '10',
  hot_standby: 'on',
  shared_buffers: '128MB',
  effective_cache_size: '512MB',
  work_mem: '8MB',
  maintenance_work_mem: '128MB',
  max_connections: '100',
  effective_io_concurrency: '100',
  random_page_cost: '1.1',
  fsync: 'off',
  synchronous_commit: 'on',
  wal_level: 'logical',
  wal_sender_timeout: '60s',
  wal_keep_size: '0',
  restart_after_crash: 'off',
  listen_addresses: '0.0.0.0',
  port: String(it.port),
  shared_preload_libraries: 'neon',
  jit: 'off',
  statement_timeout: '0',
  idle_in_transaction_session_timeout: '600000',
  autovacuum_max_workers: '4',
  autovacuum_naptime: '10s',
  autovacuum_vacuum_scale_factor: '0.05',
  autovacuum_vacuum_cost_limit: '2000',
  log_min_duration_statement: '1000',
  log_connections: 'on',
  log_disconnections: 'on',
  log_checkpoints: 'on',
  log_lock_waits: 'on',
  log_temp_files: '0',
  log_autovacuum_min_duration: '1000',
  // Quoted twice, so that each line of the log begins with a quote.
  log_line_prefix: "'%m [%p] %q%u@%d '",
  max_replication_write_lag: '500MB',
  max_replication_flush_lag: '10GB',
  synchronous_standby_names: 'walproposer',
  'neon.safekeepers': 'localhost:5454',
  password_encryption: 'scram-sha-256',
  hba_file: join(dir, 'pg_hba.conf'),
  ssl: 'on',
  ssl_cert_file: join(dir, 'localhost.crt'),
  ssl_key_file: join(dir, 'localhost.key'),
  ssl_ca_file: join(dir, 'localhost.crt'),
  // Debian's PostgreSQL has another place for it; Neon's has /tmp.
  unix_socket_directories: join(it.home, 'run'),
});

/** Every field that it writes. There are no keys: only `/metrics` is asked. */
const config = (settings: Record<string, string>): object => ({
  spec: {
    format_version: 1.0,
    operation_uuid: null,
    features: [],
    swap_size_bytes: null,
    disk_quota_bytes: null,
    disable_lfc_resizing: null,
    cluster: {
      cluster_id: null,
      name: null,
      state: null,
      roles: [{ name: 'postgres', encrypted_password: verifier, options: null }],
      databases: [
        { name: 'postgres', owner: 'postgres', options: null, restrict_conn: false, invalid: false },
      ],
      postgresql_conf: confText(settings),
      settings: null,
    },
    delta_operations: null,
    skip_pg_catalog_updates: false,
    tenant_id: '3aa8fcc61f6d357410b7de754b1d9001',
    timeline_id: timeline,
    pageserver_connection_info: {
      shard_count: 0,
      stripe_size: null,
      shards: { '0000': { pageservers: [{ id: 1, libpq_url: it.pageserver.url, grpc_url: null }] } },
      prefer_protocol: 'libpq',
    },
    pageserver_connstring: it.pageserver.url,
    shard_stripe_size: null,
    project_id: null,
    branch_id: null,
    endpoint_id: `compute-${timeline}`,
    safekeepers_generation: null,
    safekeeper_connstrings: [it.safekeeper.address],
    mode: 'Primary',
    storage_auth_token: 'a.b.c',
    remote_extensions: null,
    pgbouncer_settings: null,
    local_proxy_config: null,
    reconfigure_concurrency: 1,
    drop_subscriptions_before_start: false,
    audit_log_level: 'Disabled',
    logs_export_host: null,
    endpoint_storage_addr: null,
    endpoint_storage_token: null,
    autoprewarm: false,
    offload_lfc_interval_seconds: null,
    suspend_timeout_seconds: -1,
    databricks_settings: null,
  },
  compute_ctl_config: { jwks: { keys: [] }, tls: null },
});

/** Of the password `secret`. */
const verifier =
  'SCRAM-SHA-256$4096:AAECAwQFBgcICQoLDA0ODw==$THoPhoTAuqyoQsK4dUHncUzgfD8fdmhsgKZhWVqNP5U=:7YiHMMi2OcXGRogub03Ek06JRZ9bkhTOdCzHa5iPLiQ=';

/** The environment is empty. It waits 50 s at most for PostgreSQL's own line on stderr, and has no port for the internal server. */
async function launch(): Promise<Called> {
  const file = join(dir, 'config.json');
  writeFileSync(file, JSON.stringify(config(withoutNeons(conf()))));
  compute = call(
    [
      installCtl(join(it.home, 'bin')),
      ...['--pgdata', join(dir, 'pg_data'), '--pgbin', join(bindir, 'postgres')],
      ...['--compute-id', `compute-${timeline}`],
      ...['--connstr', `postgresql://cloud_admin@localhost:${it.port}/postgres`],
      ...['--config', file, '--external-http-port', String(it.httpPort)],
    ],
    { env: {} },
  );
  const launched = compute;
  await eventually(
    'the line of PostgreSQL',
    () => {
      if (launched.child.exitCode !== null) throw new Error(launched.stderr());
      return launched.stderr().includes('listening on IPv4 address') || undefined;
    },
    50_000,
  );
  return launched;
}

const nothingLeft = (): Promise<true> =>
  eventually(
    'nothing is left',
    () => [...processesIn(dir), ...watchersOf(join(dir, 'pg_data'))].length === 0 || undefined,
    // A Postgres without its directory ends by itself, but once a minute.
    10_000,
  );

const asPostgres = (): Promise<unknown> =>
  withPg(
    {
      ...{ host: '127.0.0.1', port: it.port, user: 'postgres', database: 'postgres', options: '' },
      password: new Secret('secret'),
    },
    { applicationName: 'test', connectMs: 2000, queryMs: 5000, signal: new AbortController().signal },
    async (pg) =>
      (
        await pg.query(
          'select pg_get_userbyid(datdba) as owner from pg_database where datname = current_database()',
        )
      ).rows,
  );

test('its config, with all its fields, is valid as it is', async () => {
  expect(await faultsIn(config(conf()), it.home)).toEqual([]);
});

test('started with an empty environment it is ready by one line; killed, it leaves nothing, though its directory is deleted at once', async () => {
  const launched = await launch();
  expect(await eventually('the role of the spec', asPostgres)).toEqual([{ owner: 'postgres' }]);
  const metrics = await (await fetch(`http://127.0.0.1:${it.httpPort}/metrics`)).text();
  for (const name of ['compute_ctl_up', 'compute_pg_current_downtime_ms']) expect(metrics).toContain(name);
  // On Linux its SIGINT goes to a process group that does not exist. After 5 s it kills, and deletes the directory.
  expect(() => process.kill(-launched.pid, 'SIGINT')).toThrow('ESRCH');
  // The watcher comes later than the deletion.
  const watchers = watchersOf(join(dir, 'pg_data'));
  expect(watchers).toHaveLength(1);
  for (const pid of watchers) process.kill(pid, 'SIGSTOP');
  launched.child.kill('SIGKILL');
  await launched.exited();
  rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
  for (const pid of watchers) process.kill(pid, 'SIGCONT');
  await nothingLeft();
});

test('it is ended by SIGTERM in order when neond dies, within the 5 s after which it would be killed', async () => {
  const launched = await launch();
  launched.child.kill('SIGTERM');
  expect(await launched.exited(5000)).toBe(0);
  expect(processesIn(dir)).toEqual([]);
});

async function listening(port: number): Promise<Server> {
  const server = createServer().listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

test('a second compute on the machine runs without the internal server, whose port it cannot name', async () => {
  // Another test may have the port for a while, and give it back before this one looks.
  const taken = await eventually('port 3081', () => listening(3081), 240_000);
  try {
    const launched = await launch();
    expect(launched.stderr()).toContain('going on without it');
    expect(await eventually('the role of the spec', asPostgres)).toEqual([{ owner: 'postgres' }]);
  } finally {
    taken.close();
  }
});
