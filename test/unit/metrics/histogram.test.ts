import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Metrics } from '../../../src/metrics/registry.ts';

const family = async (metrics: Metrics): Promise<string[]> =>
  (await metrics.render()).split('\n').filter((line) => line.includes('compute_pg_check_duration_seconds'));

test('a histogram sums up its buckets, with labels in the order of their names', async () => {
  const metrics = new Metrics();
  for (const seconds of [0.0005, 0.002, 0.002, 7]) {
    metrics.record('compute_pg_check_duration_seconds', seconds, { check: 'connect' });
  }
  metrics.record('compute_pg_check_duration_seconds', 0.02, { check: 'activity' });
  const lines = await family(metrics);
  expect(lines[1]).toBe('# TYPE compute_pg_check_duration_seconds histogram');
  expect(lines.filter((line) => line.includes('check="connect"'))).toEqual([
    'compute_pg_check_duration_seconds_bucket{check="connect",le="0.001"} 1',
    'compute_pg_check_duration_seconds_bucket{check="connect",le="0.0025"} 3',
    ...['0.005', '0.01', '0.025', '0.05', '0.1', '0.25', '0.5', '1', '2.5'].map(
      (le) => `compute_pg_check_duration_seconds_bucket{check="connect",le="${le}"} 3`,
    ),
    'compute_pg_check_duration_seconds_bucket{check="connect",le="+Inf"} 4',
    'compute_pg_check_duration_seconds_sum{check="connect"} 7.0045',
    'compute_pg_check_duration_seconds_count{check="connect"} 4',
  ]);
  expect(lines.filter((line) => line.startsWith('# '))).toHaveLength(2);
});

test('a histogram is absent until the first observation, and no value is written with an exponent', () =>
  fc.assert(
    fc.asyncProperty(fc.array(fc.double({ min: 0, max: 1e4, noNaN: true })), async (values) => {
      const metrics = new Metrics();
      for (const value of values)
        metrics.record('compute_pg_check_duration_seconds', value, { check: 'connect' });
      const lines = await family(metrics);
      expect(lines).toHaveLength(values.length === 0 ? 0 : 2 + 12 + 2);
      for (const line of lines.slice(2)) expect(line).toMatch(/\} \d+(\.\d+)?$/);
    }),
  ));

test('a counter that is read at the scrape never falls', async () => {
  const metrics = new Metrics();
  let value = 5;
  metrics.observe('compute_pg_downtime_ms_total', () => value);
  const shown = async (): Promise<string | undefined> =>
    /^compute_pg_downtime_ms_total (.*)$/m.exec(await metrics.render())?.[1];
  expect(await shown()).toBe('5');
  value = 3;
  expect(await shown()).toBe('5');
  value = 8;
  expect(await shown()).toBe('8');
});
