import { X509Certificate } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { Metrics } from '../../../src/metrics/registry.ts';
import { readStatistics } from '../../../src/monitor/statistics.ts';
import { scratchDir, startCluster } from '../../support/cluster.ts';
import { installedPostgres } from '../../support/postgres-versions.ts';
import { eventually } from '../../support/program.ts';
import { makeCertificate } from '../../support/tls.ts';
import { run, session } from './support.ts';

const valueOf = (text: string, series: string): number =>
  Number(
    text
      .split('\n')
      .find((line) => line.startsWith(`${series} `))
      ?.split(' ')
      .at(-1) ?? Number.NaN,
  );

test.each(installedPostgres())('the metrics show what PostgreSQL $major counts', async (postgres) => {
  const cluster = await startCluster({
    postgres,
    conf: 'max_connections = 20\nsuperuser_reserved_connections = 5',
  });
  const [metrics, over, lines] = [new Metrics(), new AbortController(), [] as string[]];
  const log = pino({ level: 'debug' }, { write: (line: string) => void lines.push(line) });
  const { target, dataDir: pgdata } = cluster;
  const reading = readStatistics({ target, pgdata, metrics, log, everyMs: 50 }, over.signal);
  const shows = (what: string, is: (text: string) => boolean): Promise<string> =>
    eventually(what, async () => {
      const text = await metrics.render();
      if (is(text)) return text;
      throw new Error(`${text}\n${lines.join('')}`);
    });
  try {
    const before = await shows('the limit', (text) => valueOf(text, 'compute_pg_connections_limit') === 15);
    expect(valueOf(before, 'compute_pg_in_recovery')).toBe(0);
    expect(valueOf(before, 'compute_pg_wal_bytes')).toBeGreaterThanOrEqual(16 * 1024 * 1024);
    expect(valueOf(before, 'compute_pg_xid_age')).toBeGreaterThan(0);
    expect(valueOf(before, 'compute_pg_certificate_expiry_seconds')).toBe(0);
    expect(valueOf(before, 'compute_pg_disk_bytes{what="free"}')).toBeGreaterThan(0);
    await session(target, async (pg) => {
      await pg.query('begin');
      await pg.query('select pg_catalog.txid_current()');
      const open = await shows(
        'the transaction',
        (text) => valueOf(text, 'compute_pg_connections{state="idle_in_transaction"}') === 1,
      );
      expect(valueOf(open, 'compute_pg_longest_transaction_seconds')).toBeGreaterThan(0);
      await pg.query('rollback');
    });
    await run(
      target,
      `select pg_create_physical_replication_slot('left', true)`,
      'create table t as select generate_series(1, 10000)',
    );
    const cert = makeCertificate(pgdata, 'server', 9);
    const ends = Date.parse(new X509Certificate(readFileSync(cert.certFile)).validTo) / 1000;
    await shows(
      'the slot and the certificate',
      (text) =>
        valueOf(text, 'compute_pg_slots_retained_bytes') > 100_000 &&
        valueOf(text, 'compute_pg_certificate_expiry_seconds') === ends,
    );
    const commits = (text: string): number =>
      valueOf(text, 'compute_pg_transactions_total{outcome="commit"}');
    // Before PostgreSQL 15 the counts come a little later.
    const earlier = commits(await shows('commits', (text) => commits(text) > 0));
    expect(valueOf(await metrics.render(), 'compute_pg_blocks_total{from="cache"}')).toBeGreaterThan(0);
    // The server begins to count anew, and the counter goes on.
    await run(target, 'select pg_stat_reset()');
    await shows('more commits', (text) => commits(text) > earlier);
  } finally {
    over.abort();
    await reading;
    await cluster.stop();
  }
  expect(lines.filter((line) => line.includes('could not read'))).toEqual([]);
});

test('a fifo in place of the certificate does not hold up the readings for ever', async () => {
  const pgdata = scratchDir('statistics');
  const [over, lines] = [new AbortController(), [] as string[]];
  const log = pino({ level: 'debug' }, { write: (line: string) => void lines.push(line) });
  const target = { host: '127.0.0.1', port: 1, user: 'nobody', password: null, database: 'x', options: '' };
  try {
    execFileSync('mkfifo', [join(pgdata, 'server.crt')]);
    const reading = readStatistics({ target, pgdata, metrics: new Metrics(), log, everyMs: 20 }, over.signal);
    const refused = (): number => lines.filter((line) => line.includes('server.crt is not a file')).length;
    await eventually('two readings', () => (refused() >= 2 ? true : undefined));
    over.abort();
    await reading;
  } finally {
    rmSync(pgdata, { recursive: true });
  }
});
