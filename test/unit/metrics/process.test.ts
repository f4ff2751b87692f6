import { expect, test } from 'vitest';
import { followProcess } from '../../../src/metrics/process.ts';
import { Metrics } from '../../../src/metrics/registry.ts';

test('the process shows when it began, its CPU time and its memory', async () => {
  const metrics = new Metrics();
  followProcess(metrics);
  const text = await metrics.render();
  const value = (name: string): number => Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1]);
  expect(value('process_start_time_seconds')).toBeCloseTo(performance.timeOrigin / 1000, 2);
  expect(value('process_cpu_seconds_total')).toBeGreaterThan(0);
  expect(value('process_resident_memory_bytes')).toBeGreaterThan(1_000_000);
});
