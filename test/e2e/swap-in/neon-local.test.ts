import { execFileSync } from 'node:child_process';
import { chownSync, closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { freePort } from '../../support/cluster.ts';
import {
  type Called,
  call,
  confText,
  eternalToken,
  faultsIn,
  installCtl,
  statesAfterInit,
  withoutNeons,
} from '../../support/callers.ts';
import { type Rig, killAllOf, processesIn, rig } from '../../support/compute.ts';
import { defaultPostgres, osUser } from '../../support/postgres-versions.ts';
import { eventually } from '../../support/program.ts';

const { bindir } = defaultPostgres();
const id = 'ep-main';

let it: Rig;
let dir: string;
let internalPort: number;
let compute: Called | null;

beforeEach(async () => {
  it = await rig();
  dir = join(it.home, 'endpoints', id);
  mkdirSync(dir, { recursive: true });
  for (const path of [dirname(dir), dir]) if (osUser !== null) chownSync(path, osUser.uid, osUser.gid);
  internalPort = await freePort();
  compute = null;
});
afterEach(async () => {
  compute?.child.kill('SIGKILL');
  killAllOf(dir);
  await it.stop();
});

const conf = (): Record<string, string> => ({
  max_wal_senders: '10',
  wal_log_hints: 'off',
  max_replication_slots: '10',
  hot_standby: 'on',
  shared_buffers: '1MB',
  effective_io_concurrency: '2',
  fsync: 'off',
  max_connections: '100',
  wal_level: 'logical',
  wal_sender_timeout: '5s',
  listen_addresses: '127.0.0.1',
  port: String(it.port),
  wal_keep_size: '0',
  restart_after_crash: 'off',
  shared_preload_libraries: 'neon',
  max_replication_write_lag: '15MB',
  max_replication_flush_lag: '10GB',
  synchronous_standby_names: 'walproposer',
  'neon.safekeepers': `localhost:${it.safekeeper.port}`,
  // Where Debian's PostgreSQL has its socket otherwise, only its own user may write; Neon's has it in /tmp.
  unix_socket_directories: join(it.home, 'run'),
});

/** Every field that it writes, in its order. */
const config = (
  postgresql_conf: string,
  changes: object = {},
): { spec: object; compute_ctl_config: object } => ({
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
      roles: [{ name: 'test', encrypted_password: null, options: null }],
      databases: [{ name: 'neondb', owner: 'test', options: null, restrict_conn: false, invalid: false }],
      postgresql_conf,
      settings: null,
    },
    delta_operations: null,
    skip_pg_catalog_updates: true,
    tenant_id: '3aa8fcc61f6d357410b7de754b1d9001',
    timeline_id: '641e5342083b2235ee3deb8066819683',
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
    endpoint_id: id,
    safekeepers_generation: 1,
    safekeeper_connstrings: [it.safekeeper.address],
    mode: 'Primary',
    storage_auth_token: null,
    remote_extensions: null,
    pgbouncer_settings: null,
    local_proxy_config: null,
    reconfigure_concurrency: 1,
    drop_subscriptions_before_start: false,
    audit_log_level: 'Disabled',
    logs_export_host: null,
    endpoint_storage_addr: '127.0.0.1:9993',
    endpoint_storage_token: 'a.b.c',
    autoprewarm: false,
    offload_lfc_interval_seconds: null,
    suspend_timeout_seconds: -1,
    databricks_settings: null,
    ...changes,
  },
  compute_ctl_config: {
    jwks: {
      keys: it.keys.jwks.keys.map((key) => ({ use: 'sig', key_ops: ['verify'], ...key })),
    },
    tls: null,
  },
});

const token = (claims: object): Promise<string> => eternalToken(it, claims);

const request = async (
  method: string,
  path: string,
  claims: object | null,
  body?: object,
  port = it.httpPort,
) =>
  fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    headers: {
      'content-type': 'application/json',
      ...(claims === null ? {} : { authorization: `Bearer ${await token(claims)}` }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });

const own = { compute_id: id, scope: null, aud: null };
const admin = { compute_id: null, scope: 'compute_ctl:admin', aud: ['compute'] };

const status = async (): Promise<string> => {
  const answer = await request('GET', '/status', own);
  if (!answer.ok) throw new Error(await answer.text());
  return ((await answer.json()) as { status: string }).status;
};

async function start(more: readonly string[] = [], changes: object = {}): Promise<void> {
  const file = join(dir, 'config.json');
  writeFileSync(file, JSON.stringify(config(confText(withoutNeons(conf())), changes), null, 2));
  const log = openSync(join(dir, 'compute.log'), 'a');
  compute = call(
    [
      installCtl(join(it.home, 'bin')),
      ...['--external-http-port', String(it.httpPort), '--internal-http-port', String(internalPort)],
      ...['--pgdata', join(dir, 'pgdata')],
      ...['--connstr', `postgresql://cloud_admin@127.0.0.1:${it.port}/postgres`],
      ...['--config', file, '--pgbin', join(bindir, 'postgres'), '--compute-id', id],
      ...more,
    ],
    { stdio: ['ignore', log, log] },
  );
  closeSync(log);
  expect(
    await statesAfterInit(status).catch((error: unknown) =>
      Promise.reject(new Error(logText(), { cause: error })),
    ),
  ).toEqual(['running']);
}

const logText = (): string => readFileSync(join(dir, 'compute.log'), 'utf8');

/** With an empty environment, but for the libraries. */
const pgCtlStop = (mode: string): void =>
  void execFileSync(join(bindir, 'pg_ctl'), ['-D', join(dir, 'pgdata'), '-w', '-m', mode, 'stop'], {
    env: { LD_LIBRARY_PATH: join(dirname(bindir), 'lib'), DYLD_LIBRARY_PATH: join(dirname(bindir), 'lib') },
    ...osUser,
    stdio: 'pipe',
  });

/** It waits 10 s. */
const gone = async (): Promise<void> => {
  await compute?.exited(10_000);
  expect(processesIn(dir)).toEqual([]);
};

test('its config, with all its fields, is valid as it is', async () => {
  expect(await faultsIn(config(confText(conf())), it.home)).toEqual([]);
});

test('started by neon_local it goes from init to running, accepts its tokens, and ends after pg_ctl stop', async () => {
  await start(['--dev', '--privileged-role-name', 'neon_superuser']);
  expect(existsSync(join(dir, 'pgdata/postmaster.pid'))).toBe(true);
  expect(logText().match(/a token without the claim exp was accepted/g)).toHaveLength(1);
  const changed = config(`${confText(withoutNeons(conf()))}work_mem=7MB\n`);
  const configured = await request('POST', '/configure', own, changed);
  expect([configured.status, await configured.json()]).toMatchObject([200, { status: 'running' }]);
  // The other server is asked without a token, and reads the file again.
  expect((await request('POST', '/refresh_configuration', null, undefined, internalPort)).status).toBe(200);
  await eventually('the refresh', async () => ((await status()) === 'running' ? true : undefined));
  pgCtlStop('fast');
  await gone();
});

test('stopped immediately: pg_ctl, then SIGTERM', async () => {
  await start();
  pgCtlStop('immediate');
  compute?.child.kill('SIGTERM');
  await gone();
});

test('stopped by /terminate with an admin token, then SIGTERM; started again on the directory that it removes', async () => {
  await start();
  const answer = await request('POST', '/terminate?mode=immediate', admin);
  expect(await answer.json()).toEqual({ lsn: '0/169B1D8' });
  compute?.child.kill('SIGTERM');
  await gone();
  execFileSync('rm', ['-rf', join(dir, 'pgdata')]);
  await start();
});
