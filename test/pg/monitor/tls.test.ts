import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseLibpqUrl } from '../../../src/pg/connstr.ts';
import { type Cluster, scratchDir, startCluster } from '../../support/cluster.ts';
import { type Certificate, makeCertificate } from '../../support/tls.ts';
import { run, seen, session, watched } from './support.ts';

const home = scratchDir('monitor-tls');
let certificate: Certificate;
let cluster: Cluster;

/** A target on the cluster as a connection string names it. */
const at = (parameters: string) =>
  parseLibpqUrl(`port=${cluster.port} user=cloud_admin dbname=postgres ${parameters}`);

beforeAll(async () => {
  certificate = makeCertificate(home, 'localhost');
  const { certFile, keyFile } = certificate;
  cluster = await startCluster({
    conf: `ssl=on\nssl_cert_file='${certFile}'\nssl_key_file='${keyFile}'\nlog_connections=on`,
  });
  writeFileSync(join(cluster.dataDir, 'pg_hba.conf'), 'hostssl all all all trust\n');
  await run(cluster.target, 'select pg_reload_conf()');
  await seen('TLS only', () => session(cluster.target, () => Promise.resolve(false)).catch(() => true));
});
afterAll(async () => {
  await cluster.stop();
  rmSync(home, { recursive: true });
});

const checks = async (metrics: { render(): Promise<string> }): Promise<boolean> =>
  /count\{check="connect"\} ([3-9]|\d\d)/.test(await metrics.render());

test('a compute reached with sslmode=require on a server that takes TLS only does not count as down', () =>
  watched(at('host=127.0.0.1 sslmode=require'), {}, async ({ monitor, metrics }) => {
    await seen('checks', () => checks(metrics));
    expect([monitor.up, monitor.downtimeReport().incidents]).toEqual([true, []]);
    expect(cluster.log()).toMatch(/compute_ctl:monitor_connect SSL enabled/);
  }));

test('a server whose certificate names the host that was asked for is up', () => {
  const target = at(
    `host=localhost hostaddr=127.0.0.1 sslmode=verify-full sslrootcert=${certificate.certFile}`,
  );
  return watched(target, {}, async ({ monitor, metrics }) => {
    await seen('checks', () => checks(metrics));
    expect([monitor.up, monitor.downtimeReport().incidents]).toEqual([true, []]);
  });
});

test('a server whose certificate names another host is down, and the reason says so', () => {
  const target = at(`host=127.0.0.1 sslmode=verify-full sslrootcert=${certificate.certFile}`);
  return watched(target, {}, async ({ monitor, lines }) => {
    await seen('down', () => monitor.postgresReport().reason === 'other');
    expect(lines.join('')).toContain("IP: 127.0.0.1 is not in the cert's list");
  });
});

test('a server that takes TLS only is down with its own SQLSTATE when the target asks for none', () =>
  watched(at('host=127.0.0.1'), {}, async ({ monitor }) => {
    await seen('refusal', () => monitor.postgresReport().sqlstate === '28000');
  }));
