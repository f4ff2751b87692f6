import { expect, test } from 'vitest';
import { withPg } from '../../src/pg/client.ts';
import { startCluster } from '../support/cluster.ts';
import { installedPostgres } from '../support/postgres-versions.ts';

test.each(installedPostgres())('PostgreSQL $major starts, answers and stops', async (postgres) => {
  const cluster = await startCluster({ postgres });
  try {
    const options = {
      applicationName: 'test',
      connectMs: 5000,
      queryMs: 5000,
      signal: new AbortController().signal,
    };
    const { rows } = await withPg(cluster.target, options, (pg) => pg.query('show server_version_num'));
    expect(Math.floor(Number(rows[0]['server_version_num']) / 10_000)).toBe(postgres.major);
  } finally {
    await cluster.stop();
  }
});
