import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, type Server, createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { type FakeHierarchy, fakeHierarchy } from '../support/agent.ts';
import { equippedPostgres, wanting, wishes } from '../support/all-services.ts';
import { freePort } from '../support/cluster.ts';
import { type Rig, baseBackup, rig } from '../support/compute.ts';
import { defaultPostgres, osUser } from '../support/postgres-versions.ts';
import { childrenOf } from '../support/proc.ts';
import { makePemPair, writePair } from '../support/tls-pairs.ts';

const equipped = await equippedPostgres();
if (equipped === null) process.stderr.write('pgbouncer, Python, rsyslogd or pgaudit is missing: skipped\n');
afterAll(() => equipped?.remove());

let it: Rig;
let hierarchy: FakeHierarchy;
let silent: Server;
beforeEach(async () => {
  if (equipped === null) return;
  it = await rig(equipped.postgres, baseBackup(defaultPostgres()));
  hierarchy = fakeHierarchy(4 * 1024 ** 3);
  mkdirSync(at('bin'));
  script('cgexec', 'shift 2; exec "$@"');
  script('informant', 'exit 7');
  silent = createServer(() => {});
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
});
afterEach(async () => {
  if (equipped === null) return;
  await it.stop();
  hierarchy.remove();
  silent.close();
});

const at = (name: string): string => join(it.home, name);
function script(name: string, text: string): void {
  writeFileSync(at(`bin/${name}`), `#!/bin/sh\n${text}\n`);
  chmodSync(at(`bin/${name}`), 0o755);
}

interface Broken {
  /** Of everything that is reached over the network. */
  readonly port: number;
  readonly rsyslogd: string;
  readonly pgbouncerIni: string;
  readonly localProxyConfig: string;
}

/** With every service wanted, and nothing of what they need in order. */
async function start({ port, rsyslogd, pgbouncerIni, localProxyConfig }: Broken) {
  const control = { 'demo.control': "default_version = '1.0'\n" };
  const tls = writePair(it.home, { key: makePemPair('other').key, cert: makePemPair('db').cert });
  const offered = {
    public_extensions: ['demo'],
    custom_extensions: null,
    library_index: {},
    extension_data: { demo: { control_data: control, archive_path: '' } },
  };
  const address = `127.0.0.1:${port}`;
  const places = { tls, endpointStorage: address, collector: address, remote_extensions: offered };
  const spec = it.spec(wanting(Object.keys(wishes), places));
  const shared = { name: 'shared_preload_libraries', value: 'neon', vartype: 'string' };
  (spec['cluster'] as { settings: object[] }).settings.push(shared);
  const file = at('config.json');
  const paths = { key_path: tls.keyPath, cert_path: tls.certPath };
  writeFileSync(file, JSON.stringify({ spec, compute_ctl_config: { jwks: it.keys.jwks, tls: paths } }));
  const args = [
    ...[
      '-c',
      file,
      '-i',
      'compute-1',
      '-r',
      `http://${address}`,
      '--storage-status-uri',
      `http://${address}/`,
    ],
    ...['--pgbouncer-ini', pgbouncerIni, '--pgbouncer-host', '127.0.0.1', '--pgbouncer-port', String(port)],
    ...['--local-proxy-config', localProxyConfig, '--local-proxy-pid-file', at('nowhere/pid')],
    ...[
      '--rsyslogd',
      rsyslogd,
      '--rsyslog-conf-dir',
      at('rsyslog.d'),
      '--rsyslog-pid-file',
      at('rsyslogd.pid'),
    ],
    ...['--rsyslog-conf', at('rsyslog.conf'), '--vm-monitor-addr', 'here:1'],
  ];
  return it.run(args, {
    AUTOSCALING: '',
    PATH: `${at('bin')}:${equipped!.postgres.bindir}:${process.env['PATH']}`,
    COMPUTE_CTL_CGROUP_ROOT: hierarchy.root,
    COMPUTE_CTL_VM_INFORMANT: at('bin/informant'),
    AUDIT_LOGGING_ENDPOINT: address,
    NEON_CONTROL_PLANE_TOKEN: 'token-of-control-plane',
  });
}

type Services = Record<string, { state: string; error: string | null }>;
const health = async (): Promise<Services> =>
  (await it.http('GET', '/status')).json<{ services: Services }>().services;
const reason = (text: RegExp) => ({
  state: expect.stringMatching(/^(?:degraded|failed)$/) as string,
  error: expect.stringMatching(text) as string,
});
const answers = async (): Promise<number> => (await it.http('GET', '/readyz')).status;

test.skipIf(equipped === null)(
  'a compute whose services are all broken runs, and its status says of each why',
  async () => {
    const nobody = await freePort();
    const program = await start({
      port: nobody,
      rsyslogd: at('nowhere/rsyslogd'),
      pgbouncerIni: at('nowhere/pgbouncer.ini'),
      localProxyConfig: at('nowhere/config.json'),
    });
    await it.until('running');
    const asked = it.internal('POST', '/extension_server/demo').catch(() => null);
    await expect.poll(health).toMatchObject({
      pgbouncer: reason(/nowhere\/pgbouncer\.ini/),
      'local-proxy': reason(/nowhere\/config\.json/),
      'remote-extensions': reason(/download the extension demo.*ECONNREFUSED/),
      'logs-export': reason(/rsyslog\.d\/postgres_logs\.conf/),
      'audit-log': reason(/rsyslog\.d\/compute_audit_rsyslog\.conf/),
      autoprewarm: reason(/ECONNREFUSED/),
      'lfc-offload': reason(/is not saved: its prewarm failed .*ECONNREFUSED/),
      tls: reason(/does not belong to the certificate .*Postgres runs without TLS/),
      'storage-report': reason(/ECONNREFUSED/),
      'vm-monitor': reason(/here:1/),
      'vm-informant': reason(/exited with code 7/),
    });
    expect(await answers()).toBe(200);
    program.kill('SIGTERM');
    expect(await program.exited()).toBe(0);
    await asked;
  },
);

test.skipIf(equipped === null)(
  'a compute whose services all get no answer runs before any of them has given up',
  async () => {
    for (const name of ['rsyslog.d', 'proxy']) mkdirSync(at(name));
    script('rsyslogd', `echo $$ > ${at('bin/pid')}; exec sleep 1000`);
    writeFileSync(at('pgbouncer.ini'), '[pgbouncer]\n');
    for (const name of ['bin', 'rsyslog.d', 'proxy', 'pgbouncer.ini'])
      if (osUser !== null) chownSync(at(name), osUser.uid, osUser.gid);
    const { port } = silent.address() as AddressInfo;
    const program = await start({
      port,
      rsyslogd: at('bin/rsyslogd'),
      pgbouncerIni: at('pgbouncer.ini'),
      localProxyConfig: at('proxy/config.json'),
    });
    await it.until('running');
    // The first check of rsyslogd, which gets ten seconds, still goes on.
    expect(await health()).toMatchObject({ 'audit-log': { state: 'ok' }, 'logs-export': { state: 'ok' } });
    expect(existsSync(`/proc/${readFileSync(at('bin/pid'), 'utf8').trim()}`)).toBe(true);
    await expect.poll(health).toMatchObject({
      pgbouncer: reason(/./),
      'logs-export': reason(/rsyslogd/),
      'storage-report': reason(/did not|not within|took/),
    });
    expect(await answers()).toBe(200);
    program.kill('SIGTERM');
    expect(await program.exited()).toBe(0);
    expect(childrenOf(program.pid)).toEqual([]);
  },
);
