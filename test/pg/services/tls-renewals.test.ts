import { mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { connectPg } from '../../../src/pg/client.ts';
import { bringPair } from '../../../src/postgres/tls-placed.ts';
import { scratchDir } from '../../support/cluster.ts';
import { type Installed, installedPostgres } from '../../support/postgres-versions.ts';
import { makePemPair, writePair } from '../../support/tls-pairs.ts';
import {
  signal,
  soon,
  cluster,
  shared,
  serve,
  overTls,
  served,
  untilServed,
  untilHealth,
  reloads,
  swapVersion,
  stopShared,
} from '../../support/tls-service.ts';

let dir: string;
beforeEach(() => {
  dir = scratchDir('tls');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));
afterAll(stopShared);

describe.each(installedPostgres().map((each): [number, Installed] => [each.major, each]))(
  'PostgreSQL %i',
  (_, postgres) => {
    test('every way to renew reaches new connections, with every kind of key, and a session over TLS goes on', async () => {
      const on = await cluster(postgres);
      const files = swapVersion(dir, makePemPair('first', 'RSA 2048'), '..1');
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

      swapVersion(dir, makePemPair('swapped', 'P-384'), '..2');
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
  const files = swapVersion(dir, pairs[0]!, '..0');
  for (const end of ['key', 'crt']) symlinkSync(join('..data', `tls.${end}`), join(dir, `tls.${end}`));
  const running = await serve(on, files, { graceMs: 60_000 });
  await untilServed(on, 'even');
  const inPgdata = readdirSync(on.dataDir).length;
  const fds = (): number => readdirSync('/proc/self/fd').length;
  const before = fds();
  for (let turn = 1; turn <= 60; turn++) {
    swapVersion(dir, pairs[turn % 2]!, `..${turn}`);
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
