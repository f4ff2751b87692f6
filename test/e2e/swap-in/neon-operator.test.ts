import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Called, call, faultsIn, installCtl, withoutNeons } from '../../support/callers.ts';
import { type Rig, rig } from '../../support/compute.ts';
import { withControlPlane } from '../../support/control-plane.ts';
import { type FakeStorage, type SafekeeperScript, startFakeSafekeeper } from '../../support/fake-storage.ts';
import { defaultPostgres, installedPostgres } from '../../support/postgres-versions.ts';
import { eventually, executableVariable, programFile } from '../../support/program.ts';

/** Not Debian's: its socket is in /tmp by default, as that of Neon's, and not in /var. */
const postgres = installedPostgres().find(({ bindir }) => !bindir.startsWith('/usr/lib'));
const id = 'main';

let it: Rig;
let safekeepers: FakeStorage<SafekeeperScript>[];
let pod: Called | null;

beforeEach(async () => {
  it = await rig(postgres ?? defaultPostgres());
  const status = { flush: '0/169B1D8', commit: '0/169B1D8' };
  safekeepers = await Promise.all([0, 1, 2].map(() => startFakeSafekeeper(status)));
  pod = null;
});
afterEach(async () => {
  pod?.child.kill('SIGKILL');
  for (const one of safekeepers) await one.stop();
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
  'neon.safekeepers': safekeepers.map(({ address }) => address).join(','),
  'neon.timeline_id': '641e5342083b2235ee3deb8066819683',
  'neon.tenant_id': '3aa8fcc61f6d357410b7de754b1d9001',
  'neon.max_file_cache_size': '1GB',
});

/** What its control plane answers: tenant and timeline are in the settings alone, the one shard is counted. */
const config = (given: Record<string, string>): { spec: object; compute_ctl_config: object } => ({
  spec: {
    format_version: 1,
    suspend_timeout_seconds: -1,
    cluster: {
      cluster_id: '3aa8fcc61f6d357410b7de754b1d9001',
      name: 'project',
      roles: [{ name: 'postgres', encrypted_password: 'b093c0d3b281ba6da1eacc608620abd8', options: null }],
      databases: [],
      settings: Object.entries(given).map(([name, value]) => ({
        name,
        value,
        vartype: vartypes[name] ?? 'string',
      })),
    },
    delta_operations: [],
    safekeeper_connstrings: safekeepers.map(({ address }) => `postgresql://postgres:@${address}`),
    pageserver_connection_info: {
      shard_count: 1,
      shards: {
        '0001': {
          pageservers: [{ id: 0, libpq_url: it.pageserver.url.replace('postgresql:', 'postgres:') }],
        },
      },
    },
  },
  compute_ctl_config: {
    jwks: { keys: it.keys.jwks.keys.map((key) => ({ ...key, key_ops: ['verify'], kid: 'neon-operator' })) },
  },
});

const vartypes: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    ['fsync', 'wal_log_hints', 'log_connections', 'restart_after_crash'].map((name) => [name, 'bool']),
  ),
  ...Object.fromEntries(['wal_level', 'password_encryption'].map((name) => [name, 'enum'])),
  ...Object.fromEntries(
    ['port', 'max_connections', 'max_wal_senders', 'max_replication_slots', 'wal_keep_size'].map((name) => [
      name,
      'integer',
    ]),
  ),
};

/** A pod in namespaces of its own, but for the network: /var is an empty volume, the volume of the data directory belongs to root and to
 *  the group 1000, and so does nobody else's but uid 1000's process, which has no name and no capabilities. $1 and so on: pairs of
 *  a directory of this machine and its place below /mnt. The rest, after `--`, is run. */
const inPod = `set -e
mount -t tmpfs -o mode=0755 tmpfs /mnt
while [ "$1" != -- ]; do mkdir -p "/mnt/$2"; mount --bind "$1" "/mnt/$2"; shift 2; done
shift
mkdir /mnt/data
mount -t tmpfs -o size=500m,mode=2777,gid=1000 tmpfs /mnt/data
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t tmpfs -o mode=0777 tmpfs /var
exec setpriv --reuid 1000 --regid 1000 --groups 1000 --inh-caps=-all --bounding-set=-all --no-new-privs "$@"`;

/** Directories of ours, which are below /var, and where the pod sees them. */
const places = (): [string, string][] => [
  [dirname(process.env[executableVariable] ?? programFile('compute_ctl')), 'program'],
  [dirname(process.execPath), 'runtime'],
  [dirname(postgres?.bindir ?? ''), 'postgres'],
  [join(it.home, 'bin'), 'bin'],
];

const seenAt = (path: string): string => {
  const [dir = '', name = ''] = places().find(([one]) => path.startsWith(`${one}/`)) ?? [];
  return join('/mnt', name, path.slice(dir.length));
};

function startPod(controlPlane: string): Called {
  mkdirSync(join(it.home, 'bin'), { recursive: true });
  installCtl(join(it.home, 'bin'), seenAt);
  const line =
    'echo "$INITIAL_SPEC_JSON" > /var/spec.json && ' +
    '/mnt/bin/compute_ctl --pgdata /mnt/data/pgdata ' +
    `--connstr=postgresql://cloud_admin:@0.0.0.0:${it.port}/postgres ` +
    `--compute-id ${id} -p ${controlPlane} --pgbin /mnt/postgres/bin/postgres`;
  const namespaces = [
    'unshare',
    '--mount',
    '--pid',
    '--fork',
    '--kill-child',
    '--mount-proc',
    'sh',
    '-c',
    inPod,
    'sh',
  ];
  const env = {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    OTEL_SDK_DISABLED: 'true',
    INITIAL_SPEC_JSON: JSON.stringify({ format_version: '1.0', compute_ctl_config: { jwks: it.keys.jwks } }),
  };
  return call([...namespaces, ...places().flat(), '--', 'bash', '-c', line], { env, uid: 0, gid: 0 });
}

/** The first process of the pod, as this machine counts. */
const firstOf = ({ pid }: Called): number =>
  Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim());

/** In the namespaces of the pod, as its user. */
const inside = (started: Called, ...command: string[]): string =>
  execFileSync(
    'nsenter',
    [
      '-t',
      String(firstOf(started)),
      '-m',
      '-p',
      'setpriv',
      '--reuid',
      '1000',
      '--regid',
      '1000',
      '--clear-groups',
      ...command,
    ],
    {
      encoding: 'utf8',
      env: { PATH: process.env['PATH'], PGHOST: '/tmp' },
    },
  );

/** The call names no HTTP ports, so another test may have them for a while: 3080 and 3081. */
const startPodOnUsualPorts = (controlPlane: string): Promise<Called> =>
  eventually(
    'a pod that runs',
    async () => {
      const started = (pod = startPod(controlPlane));
      const isOver = (): boolean => started.child.exitCode !== null || started.child.signalCode !== null;
      const known = (): true | undefined => isOver() || started.stderr().includes('to running') || undefined;
      await eventually('the status', known).catch(() => {});
      if (!isOver() && started.stderr().includes('to running')) return started;
      started.child.kill('SIGKILL');
      await started.exited();
      throw new Error(started.stderr());
    },
    240_000,
  );

test('its answer, with all its fields, is valid as it is', async () => {
  expect(await faultsIn(config(settings()), it.home)).toEqual([]);
});

describe.runIf(process.getuid?.() === 0 && postgres !== undefined)(
  'in a pod (requires root and a server of test/servers)',
  () => {
    test('behind bash -c, as uid 1000, with an empty /var: pg_isready finds it, and the pod ends in order', async () => {
      await withControlPlane(
        () => config(withoutNeons(settings())),
        async ({ uri }) => {
          const started = await startPodOnUsualPorts(uri);
          const ready = (): true | undefined =>
            inside(started, join(defaultPostgres().bindir, 'pg_isready'), '-p', String(it.port)).includes(
              'accepting',
            ) || undefined;
          await eventually('pg_isready', ready);
          expect(inside(started, 'cat', '/var/spec.json')).toContain('"format_version":"1.0"');
          expect(safekeepers.map(({ commands }) => commands.length > 0)).toEqual([true, true, true]);
          // Kubernetes sends it to the first process: bash has become compute_ctl.
          const about = (file: string): string => readFileSync(`/proc/${firstOf(started)}/${file}`, 'utf8');
          expect([about('comm'), about('status')]).toEqual([
            expect.not.stringContaining('bash'),
            expect.stringMatching(/^Uid:\s+1000\s/m),
          ]);
          process.kill(firstOf(started), 'SIGTERM');
          expect([await started.exited(), started.stderr()]).toEqual([
            0,
            expect.stringContaining('Postgres exited with code 0'),
          ]);
        },
      );
    });

    test('killed, it leaves nothing: the pod ends with its first process', async () => {
      await withControlPlane(
        () => config(withoutNeons(settings())),
        async ({ uri }) => {
          const started = await startPodOnUsualPorts(uri);
          const namespace = execFileSync('readlink', [`/proc/${firstOf(started)}/ns/pid`], {
            encoding: 'utf8',
          });
          process.kill(firstOf(started), 'SIGKILL');
          await started.exited();
          const left = execFileSync(
            'sh',
            ['-c', `readlink /proc/[0-9]*/ns/pid | grep -cF '${namespace.trim()}' || true`],
            { encoding: 'utf8' },
          );
          expect(left.trim()).toBe('0');
        },
      );
    });
  },
);
