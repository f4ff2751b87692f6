import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type PgClient, connectPg } from '../../src/pg/client.ts';
import { services } from '../../src/services/index.ts';
import { type FakeHierarchy, fakeHierarchy } from '../support/agent.ts';
import {
  type Surroundings,
  equippedPostgres,
  settingsForAll,
  surroundings,
  wanting,
  wishes,
} from '../support/all-services.ts';
import { freePort } from '../support/cluster.ts';
import { type Rig, baseBackup, processesIn, rig } from '../support/compute.ts';
import { defaultPostgres } from '../support/postgres-versions.ts';
import { childrenOf, withVariable } from '../support/proc.ts';
import { executableVariable } from '../support/program.ts';
import { subsets } from '../support/subsets.ts';

/** Wanted by options of the command line, or by every spec. */
const always = [
  ...['vm-informant', 'swap', 'disk-quota', 'storage-report', 'core-dumps', 'vm-monitor', 'migrations'],
  ...['earlier-pgdata', 'installed-extensions'],
];
/** Not beside the others: it ends when the spec comes; it is for computes that stay at one LSN (`static.test.ts`). */
const apart = ['memory-prewarm', 'lsn-lease'];
const all = Object.keys(wishes);
const seed = Number(process.env['COMPUTE_SERVICES_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
const rounds = 20;

test('no service is left out', () => {
  expect([...always, ...apart, ...all].toSorted()).toEqual(services.map(({ name }) => name).toSorted());
});

const equipped = await equippedPostgres();
if (equipped === null) process.stderr.write('pgbouncer, Python, rsyslogd or pgaudit is missing: skipped\n');
afterAll(() => equipped?.remove());

describe.skipIf(equipped === null)('a compute with every service', () => {
  let it: Rig;
  let beside: Surroundings;
  let hierarchy: FakeHierarchy;
  let image: { ini: string; installed: string[] };
  beforeEach(async () => {
    it = await rig(equipped!.postgres, baseBackup(defaultPostgres()));
    beside = await surroundings(equipped!, it.port);
    hierarchy = fakeHierarchy(4 * 1024 ** 3);
    image = { ini: ini(), installed: installed() };
  });
  afterEach(async () => {
    await it.stop();
    await beside.stop();
    hierarchy.remove();
  });

  const ini = (): string => readFileSync(beside.pooler.ini, 'utf8');
  const installed = (): string[] =>
    [...readdirSync(equipped!.share), ...readdirSync(equipped!.lib)].toSorted();
  const noted = (): string => join(beside.home, 'proxy', 'resources');

  function spec(names: Iterable<string>): Record<string, unknown> {
    const vm = { swap_size_bytes: 1024, disk_quota_bytes: 0 };
    const made = it.spec({ ...vm, ...wanting(names, beside) });
    (made['cluster'] as { settings: object[] }).settings.push(...settingsForAll);
    return made;
  }

  /** A machine that is scaled, without a spec so far. */
  async function startEmpty() {
    const bin = join(it.home, 'bin');
    mkdirSync(bin);
    const script = (name: string, text: string): void => {
      writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`);
      chmodSync(join(bin, name), 0o755);
    };
    script('cgexec', 'shift 2; exec "$@"');
    script('sudo', 'exec "$@"');
    script('resize-swap', 'true');
    script('set-disk-quota', 'true');
    script('informant', 'exec sleep 1000');
    const file = join(it.home, 'config.json');
    const tls = { key_path: beside.tls.keyPath, cert_path: beside.tls.certPath };
    writeFileSync(file, JSON.stringify({ spec: null, compute_ctl_config: { jwks: it.keys.jwks, tls } }));
    const vm = [
      ...['--vm-monitor-addr', `127.0.0.1:${await freePort()}`, '--cgroup', 'neon-postgres'],
      ...['--filecache-connstr', `host=127.0.0.1 port=${it.port} dbname=postgres user=cloud_admin`],
      ...['--resize-swap-on-bind', '--set-disk-quota-for-fs', '/data'],
    ];
    return it.run(['-c', file, '-i', 'compute-1', ...vm, ...beside.args], {
      ...beside.env,
      AUTOSCALING: '',
      PATH: `${bin}:${equipped!.postgres.bindir}:${process.env['PATH']}`,
      COMPUTE_CTL_CGROUP_ROOT: hierarchy.root,
      COMPUTE_CTL_VM_TOOLS_DIR: bin,
      COMPUTE_CTL_SUDO: join(bin, 'sudo'),
      COMPUTE_CTL_VM_INFORMANT: join(bin, 'informant'),
      NODE_OPTIONS: `--import=${fileURLToPath(new URL('../support/resources.mjs', import.meta.url))}`,
      RESOURCES_FILE: noted(),
    });
  }

  const health = async (): Promise<Record<string, { state: string; error: string | null }>> =>
    (await it.http('GET', '/status')).json<{ services: Awaited<ReturnType<typeof health>> }>().services;

  const conf = (): string[] => readFileSync(join(it.pgdata, 'postgresql.conf'), 'utf8').split('\n');

  /** What there is of the services, inside and outside of compute_ctl. */
  async function traces(pid: number, baseConf: readonly string[]): Promise<object> {
    const found = await health();
    const metrics = (await it.http('GET', '/metrics')).body;
    const proxy = existsSync(beside.proxyConfig) ? readFileSync(beside.proxyConfig, 'utf8') : '';
    const lines = (text: string): string[] => text.split('\n').filter((line) => !line.startsWith(';'));
    const before = new Set(image.installed);
    return {
      services: Object.keys(found).toSorted(),
      unwell: Object.entries(found).filter(([, { state }]) => state !== 'ok'),
      conf: conf().filter((line) => !baseConf.includes(line)),
      ini: lines(ini())
        .filter((line) => !lines(image.ini).includes(line))
        .toSorted(),
      rsyslog: readdirSync(beside.rsyslog.settings.confDir).toSorted(),
      localProxy: { hasKeys: proxy.includes('"web"'), hasTls: proxy.includes('tls') },
      tmp: readdirSync(beside.tmp),
      installed: installed().filter((name) => !before.has(name)),
      pair: ['server.key', 'server.crt'].filter((name) => existsSync(join(it.pgdata, name))),
      metrics: {
        audit: !/^compute_audit_log_dir_size 0$/m.test(metrics),
      },
      children: childrenOf(pid),
    };
  }

  const confOf: Readonly<Record<string, readonly string[]>> = {
    tls: ['ssl = on', "ssl_cert_file = 'server.crt'", "ssl_key_file = 'server.key'"],
    'logs-export': ["log_destination='stderr,syslog'"],
    'audit-log': [
      '# Managed by compute_ctl compliance audit settings: begin',
      ...['pgaudit.log_parameter=off', "pgaudit.log='all, -misc'", 'pgaudit.log_catalog=off'],
      'pgaudit.log_rotation_age=5',
      "shared_preload_libraries='neon,pgaudit,pgauditlogtofile'",
      '# Managed by compute_ctl compliance audit settings: end',
    ],
  };

  /** The same for what should be there. */
  function wantedTraces(names: readonly string[]): object {
    const has = (name: string): boolean => names.includes(name);
    const tlsInIni = [
      `client_tls_cert_file = ${beside.tls.certPath}`,
      `client_tls_key_file = ${beside.tls.keyPath}`,
      'client_tls_sslmode = allow',
    ];
    const usesTls = has('tls');
    const settings = ['default_pool_size = 7', 'max_client_conn = 70', ...(usesTls ? tlsInIni : [])];
    return {
      services: [...always, ...names].toSorted(),
      unwell: [],
      conf: ['tls', 'logs-export', 'audit-log'].flatMap((name) => (has(name) ? confOf[name]! : [])),
      ini: has('pgbouncer') ? settings.toSorted() : [],
      rsyslog: [
        ...(has('audit-log') ? ['compute_audit_rsyslog.conf'] : []),
        ...(has('logs-export') ? ['postgres_logs.conf'] : []),
      ],
      localProxy: { hasKeys: has('local-proxy'), hasTls: has('local-proxy') && usesTls },
      tmp: [],
      // It stays: somebody may have created the extension meanwhile.
      installed: ['hstore.control'],
      pair: usesTls ? ['server.key', 'server.crt'] : [],
      metrics: { audit: has('audit-log') },
      children: ['postgres', 'sh', 'sleep'],
    };
  }

  async function configure(names: readonly string[]): Promise<void> {
    const config = { spec: spec(names), compute_ctl_config: { jwks: it.keys.jwks } };
    expect((await it.http('POST', '/configure', config)).json()).toMatchObject({ status: 'running' });
  }

  /** What the process keeps open; null where nobody can look into it. */
  async function resources(pid: number): Promise<{ files: number; timers: number } | null> {
    if (process.env[executableVariable] !== undefined) return null;
    writeFileSync(noted(), '');
    chmodSync(noted(), 0o666);
    process.kill(pid, 'SIGUSR2');
    await expect.poll(() => readFileSync(noted(), 'utf8')).toContain('}');
    const { Timeout = 0 } = JSON.parse(readFileSync(noted(), 'utf8')) as { Timeout?: number };
    return { files: readdirSync(`/proc/${pid}/fd`).length, timers: Timeout };
  }

  test(`starts, follows ${rounds} specs and ends: nothing is left behind (COMPUTE_SERVICES_SEED=${seed})`, async () => {
    const program = await startEmpty();
    await it.until('empty');
    await expect.poll(async () => Object.keys(await health())).toEqual(['vm-informant', 'memory-prewarm']);
    await configure(all);
    await expect
      .poll(() => traces(program.pid, []))
      .toMatchObject({ unwell: [], services: [...always, ...all].toSorted() });
    const target = { host: '127.0.0.1', port: beside.pooler.port, user: 'app', password: null, options: '' };
    const signal = new AbortController().signal;
    const client: PgClient = await connectPg(
      { ...target, database: 'postgres' },
      { applicationName: '', connectMs: 20_000, signal },
    );
    const session = async () => (await client.query('select pg_backend_pid() as pid')).rows;
    const served = await session();

    await configure([]);
    const withNone = conf();
    await expect.poll(() => traces(program.pid, withNone)).toEqual(wantedTraces([]));
    const before = await resources(program.pid);
    for (const [round, names] of subsets(all, seed, rounds).entries()) {
      await configure(names);
      const what = { round, names };
      const look = async () => ({ ...what, ...(await traces(program.pid, withNone)) });
      await expect.poll(look).toEqual({ ...what, ...wantedTraces(names) });
      expect(await session()).toEqual(served);
    }
    await configure([]);
    await expect.poll(() => traces(program.pid, withNone)).toEqual(wantedTraces([]));
    // Requests of this test and checks of Postgres come and go.
    const grown = async (): Promise<boolean> => {
      const now = await resources(program.pid);
      if (before === null || now === null) return false;
      return now.files > before.files + 2 || now.timers > before.timers + 2;
    };
    await expect.poll(grown).toBe(false);

    await configure(all);
    await expect.poll(() => traces(program.pid, withNone)).toEqual(wantedTraces(all));
    expect(await session()).toEqual(served);
    await it.http('POST', '/terminate?mode=immediate');
    expect(await program.exited()).toBe(0);
    await expect.poll(() => beside.pooler.runs()).toBe(false);
    await expect.poll(() => beside.proxy.exited()).toBe(true);
    expect({
      ini: ini(),
      proxy: existsSync(beside.proxyConfig),
      rsyslog: readdirSync(beside.rsyslog.settings.confDir),
      tmp: readdirSync(beside.tmp),
      installed: installed().filter((name) => !image.installed.includes(name)),
      processes: [...processesIn(it.pgdata), ...withVariable(`RESOURCES_FILE=${noted()}`)],
    }).toEqual({
      ini: image.ini,
      proxy: false,
      rsyslog: [],
      tmp: [],
      installed: ['hstore.control'],
      processes: [],
    });
    await expect.poll(() => beside.rsyslog.pid()).not.toBeNull();
  });
});
