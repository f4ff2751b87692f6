import { expect, test } from 'vitest';
import { outagesIn } from '../../../../src/local/dashboard/outages.ts';
import { rowsWith, saidAsleep } from '../../../../src/local/dashboard/page/asleep-rows.ts';
import { SleepTimes } from '../../../../src/local/dashboard/sleep-times.ts';

const at = (second: number): string => new Date(second * 1000).toISOString();
const slept = (from: number, to: number | null) => ({
  ...{ from: at(from), to: to === null ? null : at(to), wokenBy: null, wakeMs: null },
});
const sample = (second: number) => ({ at: second * 1000, computes: {} });

test('sleep is noted with who ended it, and everything is passed on', () => {
  const times = new SleepTimes();
  const passed: string[] = [];
  const report = times.noting({
    event: (event) => passed.push(event),
    progress: (what) => passed.push(what),
  });
  for (const event of ['ready', 'waking', 'suspending', 'asleep']) report.event(event, {}, null);
  expect(times.all).toMatchObject([{ to: null, wokenBy: null }]);
  report.event('waking', { by: 'role "<img>"' }, null);
  report.event('woken', { by: 'role "<img>"', ms: 170 }, 'Awake');
  report.progress('p', '');
  report.event('suspending', {}, null);
  report.event('stopping', {}, null);
  expect(times.all).toEqual([
    { from: times.all[0]?.from, to: times.all[0]?.to, wokenBy: 'role "<img>"', wakeMs: 170 },
    { from: times.all[1]?.from, to: times.all[1]?.to, wokenBy: null, wakeMs: null },
  ]);
  expect(times.all.every(({ to }) => to !== null)).toBe(true);
  expect(passed).toHaveLength(9);
  for (let turn = 0; turn < 500; turn++) report.event('suspending', {}, null);
  expect(times.all).toHaveLength(200);
});

test('the table behind a chart has one row for each sleep, also for one that nobody has watched', () => {
  const samples = [sample(10), sample(12), sample(20), sample(22), sample(40)];
  const rows = rowsWith(samples, [slept(1, 5), slept(19, 23), slept(30, 31), slept(41, null)], 2, (one) => [
    String(one.at / 1000),
    '1',
    '2',
  ]);
  expect(rows.map(([, first]) => first)).toEqual(['asleep', '1', 'asleep', 'asleep', '1', '1']);
  expect(rows.every((row) => row.length === 3)).toBe(true);
  expect(saidAsleep([])).toBe('');
  expect(saidAsleep([slept(1, null)])).toContain('asleep since');
});

test('a sleep is no downtime', () => {
  const change = (second: number, from: string, to: string) => ({ at: at(second), from, to });
  const changes = [
    change(1, 'init', 'running'),
    change(11, 'running', 'termination_pending_fast'),
    change(20, 'init', 'running'),
    change(30, 'running', 'termination_pending_fast'),
  ].toReversed();
  expect(outagesIn(changes, 40_000, [slept(10, 19)]).map(({ from }) => from)).toEqual([at(30)]);
  expect(outagesIn(changes, 40_000, [slept(10, 19), slept(29, null)])).toEqual([]);
});
