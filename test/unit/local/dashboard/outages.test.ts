import { expect, test } from 'vitest';
import { outagesIn } from '../../../../src/local/dashboard/outages.ts';

const at = (second: number): string => new Date(second * 1000).toISOString();
const change = (second: number, from: string, to: string) => ({ at: at(second), from, to });

test('the times between the end of a compute and its next start are found, with why', () => {
  const changes = [
    change(1, 'init', 'running'),
    change(2, 'running', 'configuration_pending'),
    change(3, 'configuration', 'running'),
    change(10, 'running', 'failed'),
    change(11, 'failed', 'terminated'),
    change(12, 'empty', 'init'),
    change(14, 'init', 'running'),
    change(20, 'running', 'termination_pending_fast'),
    change(21, 'termination_pending_fast', 'terminated'),
  ];
  expect(outagesIn(changes.toReversed(), 25_000)).toEqual([
    { from: at(20), to: null, ms: 5000, why: 'the compute was stopped' },
    { from: at(10), to: at(14), ms: 4000, why: 'the compute failed' },
  ]);
  expect(outagesIn([], 0)).toEqual([]);
});
