import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { withPg } from '../../src/pg/client.ts';
import type { PgTarget } from '../../src/pg/target.ts';
import { startCluster } from './cluster.ts';
import { eventually } from './program.ts';
import type { Scrape } from './prometheus.ts';

const signal = new AbortController().signal;
export const session = { applicationName: 'test', connectMs: 20_000, queryMs: 60_000, signal };

export const adminAt = (port: number): PgTarget => ({
  host: '127.0.0.1',
  port,
  user: 'cloud_admin',
  password: null,
  database: 'postgres',
  options: '',
});

/** Null: no answer. */
export const scrapeOf = async (port: number): Promise<Scrape> => {
  try {
    return await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  } catch {
    return null;
  }
};
/** Scrapes until one holds all of `wanted`. */
export const scrapeWith = (port: number, ...wanted: RegExp[]): Promise<string> =>
  eventually(`a scrape with ${wanted.join(' and ')}`, async () => {
    const scrape = await scrapeOf(port);
    if (scrape !== null && wanted.every((one) => one.test(scrape))) return scrape;
    throw new Error(scrape ?? 'no answer');
  });

interface Alerts {
  readonly data: { readonly alerts: readonly { labels: { alertname: string }; state: string }[] };
}

export interface Rule {
  readonly alert: string;
  readonly labels: { readonly severity: string };
  readonly annotations: Readonly<Record<'summary' | 'description' | 'runbook_url', string>>;
}

/** A base backup that has a database, but not its directory. */
export async function backupWithout(name: string): Promise<Buffer> {
  const cluster = await startCluster();
  try {
    const oid = await withPg(cluster.target, session, async (pg) => {
      await pg.query(`create database ${name}`);
      const { rows } = await pg.query(`select oid::text from pg_database where datname = '${name}'`);
      return String((rows[0] as { oid: string }).oid);
    });
    cluster.postmaster.kill('SIGINT');
    await once(cluster.postmaster, 'exit');
    const without = ['./postgresql.conf', './postmaster.*', `./base/${oid}`].map((one) => `--exclude=${one}`);
    return execFileSync('tar', ['czf', '-', ...without, '-C', cluster.dataDir, '.'], { maxBuffer: 1 << 28 });
  } finally {
    await cluster.stop();
  }
}

/** Resolves when a Prometheus asks its target, which is not there yet: that is only five seconds after its start. */
export const looks = (web: string): Promise<true> =>
  eventually('Prometheus looks', async (): Promise<true | undefined> => {
    const text = await (await fetch(`http://${web}/api/v1/targets`)).text();
    return text.includes('"health":"down"') ? true : undefined;
  });

/** Resolves when an alert fires there. */
export const fireAt = (web: string, alert: string): Promise<true> =>
  eventually(alert, async (): Promise<true> => {
    const answer = await (await fetch(`http://${web}/api/v1/alerts`)).json();
    const { alerts } = (answer as Alerts).data;
    if (alerts.some(({ labels, state }) => labels.alertname === alert && state === 'firing')) return true;
    throw new Error(JSON.stringify(answer));
  });
