import { expect, test } from 'vitest';
import { withPg } from '../../../src/pg/client.ts';
import { startCluster } from '../../support/cluster.ts';
import { eventually } from '../../support/program.ts';
import { apply, inputFor, query } from './support.ts';

test('a pass waits for what an earlier one left under way, which once made the same database twice', async () => {
  const cluster = await startCluster();
  try {
    const options = { applicationName: 'helper', connectMs: 5000, signal: new AbortController().signal };
    let done = false;
    const pass = await withPg(cluster.target, options, async (helper) => {
      await helper.query('select pg_advisory_lock_shared(1668246631, 3)');
      const work = apply(
        cluster,
        inputFor(cluster.target, { roles: [{ name: 'late' }], databases: [] }),
      ).then(() => (done = true));
      const waiting = "select 1 from pg_locks where locktype = 'advisory' and not granted";
      await eventually('the wait', async () => (await query(cluster.target, waiting)).length || undefined);
      expect(done).toBe(false);
      return { work };
    });
    await pass.work;
    expect(await query(cluster.target, "select 1 from pg_roles where rolname = 'late'")).toHaveLength(1);
  } finally {
    await cluster.stop();
  }
});
