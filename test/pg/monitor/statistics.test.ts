import { execFileSync } from 'node:child_process';
import { renameSync, symlinkSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { Metrics } from '../../../src/metrics/registry.ts';
import { readStatistics } from '../../../src/monitor/statistics.ts';
import { startCluster } from '../../support/cluster.ts';
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
    expect(before).not.toContain('compute_pg_certificate_expiry_seconds');
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
    await shows('the slot', (text) => valueOf(text, 'compute_pg_slots_retained_bytes') > 100_000);
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

const dayS = 86_400;

test('the seconds until the certificate expires are those of the file that Postgres has, by a link, by another name, or damaged', async () => {
  const cluster = await startCluster();
  const [metrics, over, lines] = [new Metrics(), new AbortController(), [] as string[]];
  const log = pino({ level: 'debug' }, { write: (line: string) => void lines.push(line) });
  const { target, dataDir: pgdata } = cluster;
  const reading = readStatistics({ target, pgdata, metrics, log, everyMs: 20 }, over.signal);
  const showsDays = (days: number, file: string): Promise<unknown> =>
    eventually(`${days} days`, async () => {
      const left = valueOf(
        await metrics.render(),
        `compute_pg_certificate_expiry_seconds{file="${file}.crt"}`,
      );
      return left > days * dayS - 300 && left <= days * dayS ? true : undefined;
    });
  const switchTo = (file: string): Promise<unknown> =>
    run(
      target,
      `alter system set ssl_cert_file = '${file}.crt'`,
      `alter system set ssl_key_file = '${file}.key'`,
    ).then(() => run(target, 'alter system set ssl = on', 'select pg_reload_conf()'));
  try {
    makeCertificate(pgdata, 'real', 9);
    for (const end of ['key', 'crt']) symlinkSync(`real.${end}`, join(pgdata, `server.${end}`));
    await switchTo('server');
    await showsDays(9, 'server');
    makeCertificate(pgdata, 'other', 5);
    await switchTo(join(pgdata, 'other'));
    await showsDays(5, join(pgdata, 'other'));
    // Postgres has read it already, so its end still counts; and a fifo is not waited for.
    const other = join(pgdata, 'other.crt');
    renameSync(other, `${other}.kept`);
    execFileSync('mkfifo', [other]);
    const refused = (): number => lines.filter((line) => line.includes('other.crt is not a file')).length;
    await eventually('two readings', () => (refused() >= 2 ? true : undefined));
    await showsDays(5, join(pgdata, 'other'));
    unlinkSync(other);
    renameSync(`${other}.kept`, other);
    await run(target, 'alter system set ssl = off', 'select pg_reload_conf()');
    await eventually('none', async () =>
      (await metrics.render()).includes('compute_pg_certificate') ? undefined : true,
    );
  } finally {
    over.abort();
    await reading;
    await cluster.stop();
  }
});
