import { expect, test } from 'vitest';
import { sendTransaction } from '../../../src/catalog/send.ts';
import { sql } from '../../../src/core/sql.ts';
import { type PgClient, connectPg } from '../../../src/pg/client.ts';
import { startCluster } from '../../support/cluster.ts';
import { eventually } from '../../support/program.ts';
import { never, query, value } from './support.ts';

test('a transaction of ours that the server ends because of a deadlock is sent again, with all that was in it', async () => {
  const cluster = await startCluster({});
  const connect = (): Promise<PgClient> =>
    connectPg(cluster.target, { applicationName: 'test', connectMs: 10_000, queryMs: 60_000, signal: never });
  try {
    await query(cluster.target, 'create table a (); create table b (); create table done (n int)');
    const [ours, theirs] = [await connect(), await connect()];
    // So it is always ours that the server ends.
    await theirs.query("set deadlock_timeout = '1h'; begin; lock table b");
    const statements = [sql`insert into done values (1)`, sql`lock table a`, sql`lock table b`];
    const sent = sendTransaction(ours, statements, never);
    await eventually('the wait for b', async () =>
      (await query(cluster.target, "select from pg_locks where not granted and relation = 'b'::regclass"))
        .length > 0
        ? true
        : undefined,
    );
    await theirs.query('lock table a');
    await theirs.query('commit');
    await sent;
    expect(await value(cluster.target, 'select count(*)::int from done')).toBe(1);
    expect(cluster.log()).toContain('deadlock detected');
    for (const client of [ours, theirs]) await client.end();
  } finally {
    await cluster.stop();
  }
});
