import { chmodSync, mkdirSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { pino } from 'pino';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { Failpoints } from '../../../src/core/failpoints.ts';
import { bringPair, switchLateTlsOn } from '../../../src/postgres/tls-placed.ts';
import { TlsReaders } from '../../../src/services/tls/readers.ts';
import { scratchDir } from '../../support/cluster.ts';
import { defaultPostgres } from '../../support/postgres-versions.ts';
import { makePemPair, writePair } from '../../support/tls-pairs.ts';
import {
  late,
  cluster,
  shared,
  serve,
  served,
  soon,
  untilServed,
  untilHealth,
  stopShared,
} from '../../support/tls-service.ts';

let dir: string;
beforeEach(() => {
  dir = scratchDir('tls');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));
afterAll(stopShared);

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
});

test('who has read the files while the start still waited is told of a pair that came meanwhile, and nobody else is', async () => {
  const on = await shared();
  const files = writePair(dir, makePemPair('before'));
  await bringPair(files, on.dataDir);
  switchLateTlsOn(on.dataDir);
  const log = pino({ level: 'silent' });
  const readers = new TlsReaders(log, files);
  const told: string[] = [];
  readers.add('early', async () => void told.push('early'));
  writePair(dir, makePemPair('meanwhile'));
  readers.add('late', async () => void told.push('late'));
  // As the last step of the start.
  await bringPair(files, on.dataDir);
  on.postmaster.kill('SIGHUP');
  await untilServed(on, 'meanwhile');
  const running = await serve(on, files, { lookMs: 200 }, readers);
  await untilHealth(running, 'ok', null);
  await soon(() => expect(told).toEqual(['early']));
});

test('a pair that is renewed between the last step of the start and the status running is taken', async () => {
  const on = await shared();
  const files = writePair(dir, makePemPair('placed'));
  await bringPair(files, on.dataDir);
  switchLateTlsOn(on.dataDir);
  on.postmaster.kill('SIGHUP');
  await untilServed(on, 'placed');
  writePair(dir, makePemPair('renewed'));
  const running = await serve(on, files);
  await untilServed(on, 'renewed');
  await untilHealth(running, 'ok', null);
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

test('compute-tls-pair fails the look at the files, which is shown, and the next one is as usual', async () => {
  const on = await shared();
  const points = new Failpoints();
  points.set('compute-tls-pair', '1*return');
  const files = writePair(dir, makePemPair('own'));
  const running = await serve(on, files, { withoutPairMs: 50 }, null, points);
  await untilServed(on, 'own');
  await untilHealth(running, 'ok', null);
  expect(running.lines.some(({ msg }) => msg.includes('compute-tls-pair failpoint'))).toBe(true);
});
