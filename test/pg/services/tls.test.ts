import {
  chmodSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import type { TLSSocket } from 'node:tls';
import { dirname, join } from 'node:path';
import { pino } from 'pino';
import { afterAll, afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { Metrics } from '../../../src/metrics/registry.ts';
import { connectPg } from '../../../src/pg/client.ts';
import { openSocket } from '../../../src/pg/socket.ts';
import type { PgTarget } from '../../../src/pg/target.ts';
import type { TlsFiles } from '../../../src/postgres/tls.ts';
import { tlsSection } from '../../../src/postgres/tls-lines.ts';
import { bringPair, removePair } from '../../../src/postgres/tls-placed.ts';
import type { RunningService, ServiceDeps } from '../../../src/services/service.ts';
import { TlsReaders } from '../../../src/services/tls/readers.ts';
import { tlsService } from '../../../src/services/tls/service.ts';
import { type Cluster, scratchDir, startCluster } from '../../support/cluster.ts';
import { type Installed, defaultPostgres, installedPostgres } from '../../support/postgres-versions.ts';
import { type PemPair, makePemPair, writePair } from '../../support/tls-pairs.ts';

const { signal } = new AbortController();
/** Until the expectations hold. */
const soon = (check: () => unknown): Promise<unknown> => vi.waitFor(check, { timeout: 30_000, interval: 50 });
/** A look without a notification comes too late for these tests. */
const times = { lookMs: 600_000, withoutPairMs: 600_000, unsettledMs: 100, graceMs: 3000, servedMs: 10_000 };

let dir: string;
beforeEach(() => {
  dir = scratchDir('tls');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const late = { conf: tlsSection(false).join('\n') };

async function cluster(postgres: Installed = defaultPostgres(), conf = late.conf): Promise<Cluster> {
  const started = await startCluster({ postgres, conf });
  onTestFinished(() => started.stop());
  return started;
}

let common: Promise<Cluster> | null = null;
afterAll(async () => (await common)?.stop());

/** A server for several tests, without TLS at the beginning of each. */
async function shared(): Promise<Cluster> {
  common ??= startCluster(late);
  const on = await common;
  removePair(on.dataDir);
  on.postmaster.kill('SIGHUP');
  await soon(async () => expect(await served(on)).toBeNull());
  return on;
}

interface Served {
  readonly service: RunningService<TlsFiles>;
  readonly readers: TlsReaders;
  readonly lines: { level: number; msg: string }[];
  readonly metrics: Metrics;
  state(): string;
}

async function serve(on: Cluster, files: TlsFiles, given: Partial<typeof times> = {}): Promise<Served> {
  const lines: Served['lines'] = [];
  const log = pino({}, { write: (line: string) => void lines.push(JSON.parse(line) as Served['lines'][0]) });
  const [metrics, readers] = [new Metrics(), new TlsReaders(log)];
  const deps = {
    log,
    metrics,
    tlsReaders: readers,
    pgdata: () => ({ path: on.dataDir }),
    reloadPostgres: () => on.postmaster.kill('SIGHUP'),
    settings: { target: on.target },
  } as unknown as ServiceDeps;
  const service = await tlsService({ ...times, ...given }).start!(files, deps, signal);
  onTestFinished(() => service.stop(signal));
  return { service, readers, lines, metrics, state: () => service.health.state };
}

const overTls = (target: PgTarget): PgTarget => ({
  ...target,
  tls: { mode: 'require', serverName: target.host, rootCert: null },
});

/** The name in the certificate that a new connection gets; null: without TLS. */
async function served({ target }: Cluster): Promise<string | null> {
  try {
    const socket = (await openSocket(overTls(target), signal)) as TLSSocket;
    const name = socket.getPeerX509Certificate()?.subject ?? null;
    socket.destroy();
    return name;
  } catch {
    return null;
  }
}

const untilServed = (on: Cluster, name: string): Promise<unknown> =>
  soon(async () => expect(await served(on)).toBe(`CN=${name}`));

const untilHealth = ({ service }: Served, state: string, why: RegExp | null): Promise<unknown> =>
  soon(() => {
    expect(service.health.state).toBe(state);
    if (why === null) expect(service.health.error).toBeNull();
    else expect(service.health.error).toMatch(why);
  });

const reloads = (on: Cluster): number => on.log().match(/received SIGHUP/g)?.length ?? 0;

/** As a volume of secrets does it. */
function swapVersion(pair: PemPair, name: string): TlsFiles {
  mkdirSync(join(dir, name));
  writePair(join(dir, name), pair);
  symlinkSync(name, join(dir, '..data_tmp'));
  renameSync(join(dir, '..data_tmp'), join(dir, '..data'));
  return { keyPath: join(dir, 'tls.key'), certPath: join(dir, 'tls.crt') };
}

describe.each(installedPostgres().map((each): [number, Installed] => [each.major, each]))(
  'PostgreSQL %i',
  (_, postgres) => {
    test('every way to renew reaches new connections, with every kind of key, and a session over TLS goes on', async () => {
      const on = await cluster(postgres);
      const files = swapVersion(makePemPair('first', 'RSA 2048'), '..1');
      const running = await serve(on, files);
      expect(await served(on)).toBeNull();
      await soon(() => expect(running.service.health.detail).toMatch(/without TLS/));
      for (const end of ['key', 'crt']) symlinkSync(join('..data', `tls.${end}`), join(dir, `tls.${end}`));
      await untilServed(on, 'first');
      const session = await connectPg(overTls(on.target), {
        applicationName: 'kept',
        connectMs: 10_000,
        signal,
        queryMs: 10_000,
      });
      const pid = async (): Promise<unknown> =>
        (
          await session.query(
            'select pg_catalog.pg_backend_pid() as pid, ssl from pg_catalog.pg_stat_ssl where pid = pg_catalog.pg_backend_pid()',
          )
        ).rows;
      const before = await pid();

      swapVersion(makePemPair('swapped', 'P-384'), '..2');
      rmSync(join(dir, '..1'), { recursive: true });
      await untilServed(on, 'swapped');

      const renamed = makePemPair('renamed', 'Ed25519');
      for (const [name, text] of [
        ['tls.key', renamed.key],
        ['tls.crt', renamed.cert],
      ] as const) {
        writeFileSync(join(dir, 'fresh'), text);
        renameSync(join(dir, 'fresh'), join(dir, name));
      }
      await untilServed(on, 'renamed');

      const rewritten = makePemPair('rewritten', 'P-521');
      writeFileSync(files.certPath, rewritten.cert.slice(0, 200));
      await new Promise((resolve) => setTimeout(resolve, 300));
      writeFileSync(files.certPath, rewritten.cert);
      await new Promise((resolve) => setTimeout(resolve, 700));
      expect([await served(on), running.state()]).toEqual(['CN=renamed', 'ok']);
      writeFileSync(files.keyPath, rewritten.key);
      await untilServed(on, 'rewritten');

      rmSync(dir, { recursive: true });
      mkdirSync(dir);
      writePair(dir, makePemPair('replaced', 'P-256'));
      await untilServed(on, 'replaced');
      await soon(() => expect(running.service.health.detail).toContain('CN=replaced'));
      expect(running.state()).toBe('ok');

      expect(await pid()).toEqual(before);
      await session.end();
      expect(on.log()).not.toMatch(/could not load|was not reloaded|FATAL/);
      const scraped = await running.metrics.render();
      expect(scraped).toMatch(/compute_tls_renewals_total\{outcome="applied"\} 5\n/);
      expect(scraped).not.toContain('outcome="failed"} 5');
    });
  },
);

test('a start with a usable pair does nothing more: no reload, nobody is told', async () => {
  const on = await cluster();
  const files = writePair(dir, makePemPair('own'));
  await bringPair(files, on.dataDir);
  writeFileSync(join(on.dataDir, 'postgresql.conf'), `port=${on.port}\nssl=on\n`);
  const running = await serve(on, files, { lookMs: 100 });
  let told = 0;
  running.readers.add('pgbouncer', async () => void told++);
  await soon(() => expect(running.service.health.detail).toMatch(/CN=own, valid until 20/));
  await new Promise((resolve) => setTimeout(resolve, 500));
  expect([told, reloads(on), running.state()]).toEqual([0, 0, 'ok']);
  expect(running.lines.map(({ msg }) => msg)).toEqual([
    expect.stringMatching(/^TLS is on: certificate of CN=own/),
  ]);
});

test('whoever reads the files is told of each renewal; one that fails is told again and does not hold up the others', async () => {
  const on = await shared();
  const files = writePair(dir, makePemPair('a'));
  const running = await serve(on, files, { lookMs: 200 });
  await untilServed(on, 'a');
  await untilHealth(running, 'ok', null);
  const told: string[] = [];
  let works = false;
  running.readers.add('pgbouncer', async () => void told.push('pgbouncer'));
  const leave = running.readers.add('local_proxy', async () => {
    told.push('local_proxy');
    if (!works) throw new Error('no such process');
  });
  writePair(dir, makePemPair('b'));
  await untilHealth(
    running,
    'degraded',
    /^local_proxy does not have the new TLS certificate: no such process$/,
  );
  expect(await served(on)).toBe('CN=b');
  works = true;
  await untilHealth(running, 'ok', null);
  expect(told.filter((name) => name === 'pgbouncer').length).toBe(1);
  expect(told.filter((name) => name === 'local_proxy').length).toBeGreaterThan(1);
  expect(
    running.lines
      .filter(({ level }) => level >= 40)
      .map(({ msg }) => msg)
      .filter((msg) => msg.includes('local_proxy')),
  ).toHaveLength(1);
  leave();
  told.length = 0;
  writePair(dir, makePemPair('c'));
  await untilServed(on, 'c');
  await untilHealth(running, 'ok', null);
  expect(told).toEqual(['pgbouncer']);
});

test('what is wrong with the files is shown and logged once, the earlier pair stays, and the next good one is taken', async () => {
  const on = await shared();
  const files = writePair(dir, makePemPair('good'));
  const running = await serve(on, files, { lookMs: 100, graceMs: 300 });
  await untilServed(on, 'good');
  const other = makePemPair('other');
  const expired = makePemPair('expired', 'P-256', [-9, -1]);
  const early = makePemPair('early', 'P-256', [1, 9]);
  const broken: [string, RegExp, () => void][] = [
    ['a key of another pair', /does not belong to/, () => writeFileSync(files.keyPath, other.key)],
    ['garbage', /tls\.crt is not a usable certificate/, () => writeFileSync(files.certPath, 'garbage')],
    ['no file', /cannot read the TLS key .*ENOENT/, () => unlinkSync(files.keyPath)],
    ['no directory', /cannot read the TLS key .*ENOENT/, () => rmSync(dir, { recursive: true })],
    ['no permission', /cannot read the TLS key .*EACCES/, () => chmodSync(files.keyPath, 0)],
    [
      'expired',
      /the new TLS certificate of CN=expired expired at .*: the earlier one stays/,
      () => writePair(dir, expired),
    ],
    ['too early', /the new TLS certificate of CN=early is not valid before/, () => writePair(dir, early)],
  ];
  let last = 'good';
  for (const [what, why, breakIt] of broken) {
    running.lines.length = 0;
    breakIt();
    await untilHealth(running, 'degraded', why);
    expect([what, await served(on)]).toEqual([what, `CN=${last}`]);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect([what, running.lines.filter(({ level }) => level >= 40).length]).toEqual([what, 1]);
    last = `after ${what}`;
    const next = makePemPair(last);
    rmSync(files.keyPath, { force: true });
    mkdirSync(dir, { recursive: true });
    writePair(dir, next);
    await untilServed(on, last);
    await untilHealth(running, 'ok', null);
  }
  expect(await running.metrics.render()).toMatch(/compute_tls_renewals_total\{outcome="failed"\} 7\n/);
});

test('an expired, a not yet valid and a soon expiring pair are used where there is no other, and shown', async () => {
  const on = await shared();
  const files = writePair(dir, makePemPair('old', 'P-256', [-9, -1]));
  const running = await serve(on, files);
  await untilServed(on, 'old');
  await untilHealth(
    running,
    'failed',
    /^the TLS certificate of CN=old expired at 20.*Z: clients that check it/,
  );
  writePair(dir, makePemPair('early', 'P-256', [1, 9]));
  await untilHealth(running, 'failed', /CN=early is not valid before 20/);
  writePair(dir, makePemPair('soon', 'P-256', [-80, 10]));
  await untilHealth(running, 'degraded', /CN=soon expires at 20.* and has not been renewed/);
  const [inUse, inFile] = ['in_use', 'in_file'].map(
    (what) => `compute_tls_certificate_not_after_timestamp_seconds{what="${what}"} `,
  );
  const scraped = await running.metrics.render();
  for (const sample of [inUse, inFile]) {
    const value = Number(scraped.split(sample!)[1]?.split('\n')[0]);
    expect(Math.abs(value - Date.now() / 1000 - 10 * 86_400)).toBeLessThan(300);
  }
  await running.service.stop(signal);
  expect(await running.metrics.render()).not.toContain('not_after');
});

test('a pair that Postgres does not take is shown as such', async () => {
  const on = await cluster(defaultPostgres(), `${late.conf}\nssl = off`);
  const running = await serve(on, writePair(dir, makePemPair('own')), { servedMs: 500 });
  await untilHealth(
    running,
    'degraded',
    /Postgres does not take the TLS key and certificate: .*does not support SSL/,
  );
});

test('what is not notified is found by looking: a directory above is replaced', async () => {
  const on = await shared();
  const inner = join(dir, 'outer', 'a', 'b');
  mkdirSync(inner, { recursive: true });
  const files = writePair(inner, makePemPair('one'));
  const running = await serve(on, files, { lookMs: 300 });
  await untilServed(on, 'one');
  const other = join(dir, 'next', 'a', 'b');
  mkdirSync(other, { recursive: true });
  writePair(other, makePemPair('two'));
  renameSync(join(dir, 'outer'), join(dir, 'before'));
  renameSync(join(dir, 'next'), dirname(dirname(inner)));
  await untilServed(on, 'two');
  await untilHealth(running, 'ok', null);
});

test('60 renewals among the reloads of others: the last pair is served, nothing is left, and connections never break', async () => {
  const on = await shared();
  const pairs = [makePemPair('even'), makePemPair('odd', 'Ed25519')];
  const files = swapVersion(pairs[0]!, '..0');
  for (const end of ['key', 'crt']) symlinkSync(join('..data', `tls.${end}`), join(dir, `tls.${end}`));
  const running = await serve(on, files, { graceMs: 60_000 });
  await untilServed(on, 'even');
  const inPgdata = readdirSync(on.dataDir).length;
  const fds = (): number => readdirSync('/proc/self/fd').length;
  const before = fds();
  for (let turn = 1; turn <= 60; turn++) {
    swapVersion(pairs[turn % 2]!, `..${turn}`);
    rmSync(join(dir, `..${turn - 1}`), { recursive: true });
    on.postmaster.kill('SIGHUP');
    if (turn % 20 === 0) await untilServed(on, turn % 2 === 0 ? 'even' : 'odd');
    expect(await served(on)).not.toBeNull();
  }
  await untilServed(on, 'even');
  await untilHealth(running, 'ok', null);
  expect(readdirSync(on.dataDir).length).toBe(inPgdata);
  await soon(() => expect(fds()).toBeLessThanOrEqual(before + 2));
});
