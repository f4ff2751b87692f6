import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Called, call, faultsIn, installCtl, withoutNeons } from '../../support/callers.ts';
import { type Rig, killAllOf, processesIn, rig } from '../../support/compute.ts';
import { defaultPostgres, osUser } from '../../support/postgres-versions.ts';
import { eventually } from '../../support/program.ts';

const { bindir } = defaultPostgres();

let it: Rig;
let pgdata: string;
let container: Called | null;

beforeEach(async () => {
  it = await rig();
  // The image has it: empty, and only for its user.
  pgdata = join(it.home, 'compute');
  mkdirSync(pgdata);
  chmodSync(pgdata, 0o750);
  if (osUser !== null) chownSync(pgdata, osUser.uid, osUser.gid);
  container = null;
});
afterEach(async () => {
  if (container !== null) end(container, 'SIGKILL');
  killAllOf(pgdata);
  await it.stop();
});

const settings = (): Record<string, string> => ({
  fsync: 'off',
  wal_level: 'logical',
  wal_log_hints: 'on',
  log_connections: 'on',
  port: String(it.port),
  shared_buffers: '1MB',
  max_connections: '100',
  listen_addresses: '0.0.0.0',
  max_wal_senders: '10',
  max_replication_slots: '10',
  wal_sender_timeout: '5s',
  wal_keep_size: '0',
  password_encryption: 'md5',
  restart_after_crash: 'off',
  synchronous_standby_names: 'walproposer',
  shared_preload_libraries: 'neon',
  'neon.safekeepers': it.safekeeper.address,
  'neon.timeline_id': '641e5342083b2235ee3deb8066819683',
  'neon.tenant_id': '3aa8fcc61f6d357410b7de754b1d9001',
  'neon.pageserver_connstring': `host=127.0.0.1 port=${it.pageserver.port}`,
  max_replication_write_lag: '500MB',
  max_replication_flush_lag: '10GB',
  'cron.database': 'postgres',
  // Debian's PostgreSQL has another place for it; Neon's has /tmp.
  unix_socket_directories: join(it.home, 'run'),
});

/** The config of its docker-compose example: everything about the storage is in the settings, the superuser is among the roles, and its
 *  key is not one. */
const config = (given: Record<string, string>): object => ({
  spec: {
    format_version: 1.0,
    timestamp: '2022-10-12T18:00:00.000Z',
    operation_uuid: '0f657b36-4b0f-4a2d-9c2e-1dcd615e7d8c',
    suspend_timeout_seconds: -1,
    cluster: {
      cluster_id: 'docker_compose',
      name: 'docker_compose_test',
      state: 'restarted',
      roles: [{ name: 'cloud_admin', encrypted_password: 'b093c0d3b281ba6da1eacc608620abd8', options: null }],
      databases: [],
      settings: Object.entries(given).map(([name, value]) => ({ name, value, vartype: 'string' })),
    },
    delta_operations: [],
  },
  compute_ctl_config: {
    jwks: {
      keys: [
        {
          ...{ use: 'sig', key_ops: ['verify'], alg: 'EdDSA', kty: 'OKP', crv: 'Ed25519' },
          kid: Buffer.from(`${'db13038f4ad08968'.repeat(4)}\n`).toString('base64'),
          x: Buffer.from(`${'0d8d1a97f5346e00'.repeat(4)}\n`).toString('base64'),
        },
      ],
    },
  },
});

/** Its entry point is a script, whose last command is not replaced: bash stays the first process. */
function start(): Called {
  const file = join(it.home, 'config.json');
  writeFileSync(file, JSON.stringify(config(withoutNeons(settings()))));
  const script = `set -eux
${installCtl(join(it.home, 'bin'))} --pgdata ${pgdata} \\
     -C "postgresql://cloud_admin@localhost:${it.port}/postgres"  \\
     -b ${join(bindir, 'postgres')}                              \\
     --compute-id "compute-$RANDOM"                          \\
     --external-http-port ${it.httpPort}                     \\
     --config "${file}" \\
     --dev
exit $?
`;
  // In a group of its own: the whole container is ended at once.
  container = call(['bash', '-c', script], { detached: true });
  return container;
}

const end = ({ pid, child }: Called, signal: NodeJS.Signals): void => {
  if (child.exitCode === null && child.signalCode === null) process.kill(-pid, signal);
};

const ready = (started: Called): Promise<true> =>
  eventually('pg_isready', () => {
    if (started.child.exitCode !== null) throw new Error(started.stderr());
    const asked = execFileSync(
      join(bindir, 'pg_isready'),
      ['-h', '127.0.0.1', '-p', String(it.port), '-U', 'cloud_admin'],
      { encoding: 'utf8' },
    );
    return asked.includes('accepting connections') || undefined;
  });

test('its config, with all its fields, is valid as it is, but for the key', async () => {
  expect(await faultsIn(config(settings()), it.home)).toEqual([
    expect.stringContaining('no key of the key set can be used'),
  ]);
});

test('in the image it starts on the empty directory there, and again after the container was killed', async () => {
  const first = start();
  await ready(first);
  await eventually('the status', () => first.stderr().includes('to running') || undefined);
  expect(processesIn(pgdata)).not.toEqual([]);
  // Docker's answer to a stop that takes longer than 10 s: everything is killed, and the directory stays.
  end(first, 'SIGKILL');
  killAllOf(pgdata);
  await first.exited();
  const second = start();
  await ready(second);
  await eventually('the status', () => second.stderr().includes('to running') || undefined);
  end(second, 'SIGTERM');
  await second.exited();
  await eventually('the end', () => processesIn(pgdata).length === 0 || undefined);
});
