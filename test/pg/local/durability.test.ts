import { expect, test } from 'vitest';
import { eventually } from '../../support/program.ts';
import { localFixture } from './fixture.ts';

test('what was committed before a kill -9 is there after the next start, on the same timeline', async () => {
  const local = await localFixture();
  const storage = await local.serve();
  try {
    let compute = await local.startCompute();
    await eventually('attached', () => storage.timeline.receiver.attached ?? undefined);
    await compute.query('create table t (n int)');
    for (let cycle = 1; cycle <= 4; cycle++) {
      await compute.query(`insert into t values (${cycle})`);
      await compute.kill(cycle === 3 ? 'SIGINT' : 'SIGKILL');
      compute = await local.startCompute();
      const rows = await compute.query(
        'select array_agg(n order by n) as n, (select timeline_id from pg_control_checkpoint()) as timeline from t',
      );
      expect(rows).toEqual([{ n: Array.from({ length: cycle }, (_, at) => at + 1), timeline: 1 }]);
    }
    await compute.kill('SIGINT');
  } finally {
    await storage.close();
    local.remove();
  }
});
