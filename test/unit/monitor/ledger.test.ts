import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Failure } from '../../../src/monitor/failure.ts';
import { type Check, DowntimeLedger, keptIncidents } from '../../../src/monitor/ledger.ts';

const refused: Failure = { reason: 'connect_refused', sqlstate: null, message: 'nobody there' };
const slow: Failure = { reason: 'query_timeout', sqlstate: null, message: 'too slow' };
const wall = Date.parse('2025-08-08T12:00:00Z');

function ledger() {
  const time = { ms: 1000, step: 0 };
  const clock = { monotonicMs: () => time.ms, wallMs: () => wall + time.ms + time.step };
  const it = new DowntimeLedger(clock);
  it.begin();
  return { it, time };
}

test('downtime counts from the last success of the check that failed, not from the failure', () => {
  const { it, time } = ledger();
  time.ms = 1500;
  it.succeeded('activity');
  it.succeeded('connect');
  time.ms = 2000;
  expect(it.failed('activity', refused)).toBe('opened');
  expect([it.up, it.currentMs, it.totalMs]).toEqual([false, 500, 500]);
  time.ms = 2700;
  expect([it.currentMs, it.totalMs]).toEqual([1200, 1200]);
  expect(it.succeeded('activity')).toBe(1200);
  time.ms = 9000;
  expect([it.up, it.currentMs, it.totalMs]).toEqual([true, 0, 1200]);
});

test('the first failure counts from the moment the compute ran, not from its start', () => {
  const { it, time } = ledger();
  time.ms = 1100;
  it.failed('connect', refused);
  expect(it.currentMs).toBe(100);
});

test('one failing check is down, though the other goes on to succeed', () => {
  const { it, time } = ledger();
  time.ms = 3500;
  it.failed('connect', slow);
  for (time.ms = 4000; time.ms < 6000; time.ms += 500) expect(it.succeeded('activity')).toBeNull();
  expect([it.up, it.currentMs]).toEqual([false, 5000]);
});

test('a check that had hung for longer before it failed moves the beginning back', () => {
  const { it, time } = ledger();
  time.ms = 2000;
  it.succeeded('connect');
  time.ms = 2400;
  it.failed('connect', refused);
  expect(it.currentMs).toBe(400);
  time.ms = 3000;
  expect(it.failed('activity', slow)).toBe('changed');
  expect(it.currentMs).toBe(2000);
  expect(it.incidents()[0]).toMatchObject({
    started_at: '2025-08-08T12:00:01.000Z',
    reason: 'connect_refused',
    last_reason: 'query_timeout',
    failed_checks: 2,
  });
});

test('two downtimes never share a moment', () => {
  const { it, time } = ledger();
  time.ms = 2000;
  it.failed('connect', refused);
  time.ms = 3000;
  it.succeeded('connect'); // the last success of `activity` is older
  time.ms = 3100;
  it.failed('activity', slow);
  expect([it.currentMs, it.totalMs]).toEqual([100, 2100]);
});

test('closing during a downtime leaves no current one and keeps the sum', () => {
  const { it, time } = ledger();
  time.ms = 1300;
  it.failed('connect', refused);
  it.close();
  time.ms = 9999;
  expect([it.currentMs, it.totalMs, it.incidents()[0]?.duration_ms]).toEqual([0, 300, 300]);
});

test('dates of a downtime fit its length, although the clock was set back in the middle of it', () => {
  const { it, time } = ledger();
  time.ms = 2000;
  it.failed('connect', refused);
  [time.step, time.ms] = [-86_400_000, 5000];
  it.succeeded('connect');
  expect(it.incidents()[0]).toMatchObject({
    started_at: '2025-08-08T12:00:01.000Z',
    ended_at: '2025-08-08T12:00:05.000Z',
    duration_ms: 4000,
  });
});

test('the last hundred downtimes are kept, the latest first; the sum has them all', () => {
  const { it, time } = ledger();
  for (let each = 0; each < 150; each++) {
    time.ms += 10;
    it.failed('connect', { ...refused, message: String(each) });
    it.succeeded('connect');
    it.succeeded('activity');
  }
  expect(it.incidents()).toHaveLength(keptIncidents);
  expect(it.incidents()[0]?.message).toBe('149');
  expect(it.totalMs).toBe(1500);
});

test('whatever happens and wherever the clock is set, the sum never falls and is what the parts add up to', () => {
  const check = fc.constantFrom<Check>('activity', 'connect');
  const event = fc.record({
    check,
    ok: fc.boolean(),
    ms: fc.nat(5000),
    step: fc.integer({ min: -1e9, max: 1e9 }),
  });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 80 }), (events) => {
      const { it, time } = ledger();
      let before = 0;
      for (const { check, ok, ms, step } of events) {
        time.ms += ms;
        time.step = step;
        if (ok) it.succeeded(check);
        else it.failed(check, slow);
        expect(it.totalMs).toBeGreaterThanOrEqual(before);
        before = it.totalMs;
        expect(it.up).toBe(it.currentMs === 0 && it.failure === null);
        expect(before).toBeLessThanOrEqual(time.ms - 1000);
        expect(it.incidents().reduce((sum, { duration_ms }) => sum + duration_ms, 0)).toBe(before);
      }
    }),
  );
});
