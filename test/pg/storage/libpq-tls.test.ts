import { readdirSync, rmSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { parseLibpqUrl } from '../../../src/pg/connstr.ts';
import { inline } from '../../../src/core/errors.ts';
import { withPg } from '../../../src/pg/client.ts';
import { leaseLsn } from '../../../src/storage/lease.ts';
import { checkSafekeepers } from '../../../src/storage/safekeepers.ts';
import { type Cluster, scratchDir, startCluster } from '../../support/cluster.ts';
import { makeTarball, startFakePageserver, startFakeSafekeeper } from '../../support/fake-storage.ts';
import {
  BackupFixture,
  complete,
  failureOf,
  fetchBackup,
  lsn,
  never,
} from '../../support/fake-storage-backup.ts';
import { type Certificate, makeCertificate, startTlsFront } from '../../support/tls.ts';

const home = scratchDir('libpq-tls');
let good: Certificate;
let other: Certificate;
beforeAll(() => {
  good = makeCertificate(home, 'localhost');
  other = makeCertificate(home, 'elsewhere');
});
afterAll(() => rmSync(home, { recursive: true }));

const toStop: { stop(): unknown }[] = [];
afterEach(async () => {
  for (const one of toStop.splice(0)) await one.stop();
});
function owned<T extends { stop(): unknown }>(one: T): T {
  toStop.push(one);
  return one;
}

describe('a real Postgres with a certificate for localhost', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    const conf = `ssl=on\nssl_cert_file='${good.certFile}'\nssl_key_file='${good.keyFile}'`;
    cluster = await startCluster({ conf });
  });
  afterAll(() => cluster.stop());

  /** Whether Postgres sees an encrypted connection, or why there is none. */
  async function encrypted(parameters: string): Promise<boolean | string> {
    const target = parseLibpqUrl(`port=${cluster.port} user=cloud_admin dbname=postgres ${parameters}`);
    const options = { applicationName: 'test', connectMs: 5000, queryMs: 5000, signal: never };
    try {
      return await withPg(target, options, async (pg) => {
        const own = 'select ssl from pg_stat_ssl where pid = pg_backend_pid()';
        return (await pg.query<{ ssl: boolean }>(own)).rows[0]?.ssl ?? 'nobody';
      });
    } catch (error) {
      return inline(error);
    }
  }

  test('is reached in the clear unless the connection string asks for more', async () => {
    expect(await encrypted('host=127.0.0.1')).toBe(false);
    expect(await encrypted('host=127.0.0.1 sslmode=prefer')).toBe(false);
    expect(await encrypted('host=127.0.0.1 sslmode=require')).toBe(true);
  });

  test('is trusted by its issuer, and by its name where that is asked for', async () => {
    const trusting = `sslrootcert=${good.certFile}`;
    expect(await encrypted(`host=127.0.0.1 sslmode=verify-ca ${trusting}`)).toBe(true);
    expect(await encrypted(`host=localhost sslmode=verify-full ${trusting}`)).toBe(true);
    expect(await encrypted(`host=localhost hostaddr=127.0.0.1 sslmode=verify-full ${trusting}`)).toBe(true);
    expect(await encrypted(`host=127.0.0.1 sslmode=verify-full ${trusting}`)).toContain(
      "IP: 127.0.0.1 is not in the cert's list",
    );
  });

  test('is refused when nobody trusted has signed its certificate, also where require has issuers to trust', async () => {
    const stranger = `sslrootcert=${other.certFile}`;
    for (const mode of ['require', 'verify-ca', 'verify-full']) {
      expect(await encrypted(`host=localhost sslmode=${mode} ${stranger}`)).toMatch(
        /self.signed certificate/,
      );
    }
    expect(await encrypted('host=localhost sslrootcert=system')).toMatch(/self.signed certificate/);
    expect(await encrypted('host=localhost sslmode=verify-ca sslrootcert=/nowhere')).toContain(
      'cannot read the trusted issuers in /nowhere',
    );
  });
});

describe('storage behind TLS', () => {
  test('hands out a base backup, and one that is not what it should be is asked only once', async () => {
    const fixture = owned(new BackupFixture());
    const plain = await fixture.pageserver();
    const front = owned(await startTlsFront(plain.port, good));
    const at = (host: string, rest: string): string => `postgresql://no_user@${host}:${front.port}?${rest}`;
    const limits = { connectMs: 5000, retries: 3 };
    await fetchBackup(fixture.context([at('127.0.0.1', 'sslmode=require')], { limits }));
    expect(readdirSync(fixture.pgdata)).toContain('PG_VERSION');
    expect([front.asked, plain.commands.length]).toEqual([1, 1]);

    const full = `sslmode=verify-full&sslrootcert=${encodeURIComponent(good.certFile)}`;
    expect(await failureOf(fixture.context([at('127.0.0.1', full)], { limits }))).toContain('127.0.0.1');
    const unknown = `sslmode=verify-ca&sslrootcert=${encodeURIComponent(other.certFile)}`;
    expect(await failureOf(fixture.context([at('127.0.0.1', unknown)], { limits }))).toContain('certificate');
    expect([front.asked, plain.commands.length]).toEqual([3, 1]);

    const demanded = fixture.context([`${plain.url}?sslmode=require`], { limits });
    expect(await failureOf(demanded)).toContain('does not support SSL');
    expect([plain.logins.length, plain.commands.length]).toEqual([1, 1]);
  });

  test('answers safekeeper and lease questions', async () => {
    const at = { flush: '0/169B1D8', commit: '0/169B1D8' };
    const safekeeper = owned(await startFakeSafekeeper(at));
    const pageserver = owned(await startFakePageserver({ tarball: await makeTarball(complete) }));
    const keeping = owned(await startTlsFront(safekeeper.port, good));
    const paging = owned(await startTlsFront(pageserver.port, good));
    const timeline = { tenantId: 't', timelineId: 'l', token: null };
    const safekeepers = [`127.0.0.1:${keeping.port}?sslmode=require`];
    expect(await checkSafekeepers({ safekeepers, ...timeline }, never)).toMatchObject({
      verdict: { synced: expect.anything() as bigint },
    });
    const url = `postgresql://no_user@127.0.0.1:${paging.port}?sslmode=require`;
    const shards = new Map([[0, [{ id: null, libpqUrl: url, grpcUrl: null }]]]);
    const servers = { shardCount: 0, stripeSize: null, shards, preferProtocol: 'libpq' as const };
    const until = await leaseLsn({ pageserver: servers, lsn, limitMs: 5000, ...timeline }, never);
    expect(until).toBeGreaterThan(Date.now());
    expect([keeping.asked, paging.asked]).toEqual([1, 1]);
  });
});
