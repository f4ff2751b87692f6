import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { ActivityTracker } from '../../../src/monitor/activity.ts';
import type { ActivityRow } from '../../../src/monitor/activity-query.ts';

const quiet: ActivityRow = {
  now_ms: 1_000_000,
  busy: 0,
  idle_since_ms: null,
  walsenders: 0,
  subscriptions: 0,
  autovacuum: 0,
  own_sessions: 0,
  sessions: null,
  active_ms: null,
};
const nothing = { sessions: 0, monotonicMs: 0 };
const at = (tracker: ActivityTracker): number | undefined => tracker.last?.at.getTime();

test('nothing seen is not activity', () => {
  const tracker = new ActivityTracker();
  tracker.take(quiet, nothing);
  expect(tracker.last).toBeNull();
});

test.each([
  ['busy', 'session'],
  ['walsenders', 'walsender'],
  ['subscriptions', 'subscription'],
  ['autovacuum', 'autovacuum'],
] as const)('%s is activity now', (field, kind) => {
  const tracker = new ActivityTracker();
  tracker.take({ ...quiet, [field]: 1 }, nothing);
  expect(tracker.last).toEqual({ at: new Date(1_000_000), kind });
});

test('an idle session was active when it became idle, and its going away changes nothing', () => {
  const tracker = new ActivityTracker();
  tracker.take({ ...quiet, idle_since_ms: 999_000 }, nothing);
  tracker.take({ ...quiet, idle_since_ms: 990_000, now_ms: 1_001_000 }, nothing);
  tracker.take({ ...quiet, now_ms: 1_002_000 }, nothing);
  expect(at(tracker)).toBe(999_000);
});

test('a session that is idle since the future, after the clock of the server was set back, counts once', () => {
  const tracker = new ActivityTracker();
  for (const now_ms of [1_000_000, 1_000_500, 1_001_000]) {
    tracker.take({ ...quiet, idle_since_ms: 5_000_000, now_ms }, nothing);
  }
  expect(at(tracker)).toBe(1_000_000);
});

test('the last activity never goes back, whatever the server says', () => {
  const number = fc.integer({ min: 0, max: 2_000_000 });
  const row = fc.record({
    now_ms: number,
    busy: fc.nat(1),
    idle_since_ms: fc.option(number),
    walsenders: fc.nat(1),
    subscriptions: fc.nat(1),
    autovacuum: fc.nat(1),
    own_sessions: fc.nat(1),
    sessions: fc.option(fc.nat(50)),
    active_ms: fc.option(fc.nat(50)),
  });
  fc.assert(
    fc.property(fc.array(row), (rows) => {
      const tracker = new ActivityTracker();
      let before = Number.NEGATIVE_INFINITY;
      for (const each of rows) {
        tracker.take(each, nothing);
        expect(at(tracker) ?? before).toBeGreaterThanOrEqual(before);
        before = at(tracker) ?? before;
      }
    }),
  );
});

/** Takes [sessions, active_ms, own sessions ever, own sessions now] one second after the other; tells which were activity. */
function statistics(
  ...looks: readonly (readonly [number | null, number | null, number, number])[]
): boolean[] {
  const tracker = new ActivityTracker();
  return looks.map(([sessions, active_ms, own, own_sessions], second) => {
    const now_ms = 1_000_000 + second * 1000;
    tracker.take(
      { ...quiet, now_ms, sessions, active_ms, own_sessions },
      { sessions: own, monotonicMs: second * 1000 },
    );
    return at(tracker) === now_ms;
  });
}

test('the first figures are a baseline, later ones tell of sessions and work in between', () => {
  expect(statistics([5, 10, 0, 0], [5, 10, 0, 0], [6, 10, 0, 0], [6, 12, 0, 0], [6, 12, 0, 0])).toEqual([
    false,
    false,
    true,
    true,
    false,
  ]);
});

test('fewer sessions than before mean that a database was dropped, which is activity', () => {
  expect(statistics([5, 10, 0, 0], [3, 4, 0, 0], [3, 4, 0, 0], [4, 4, 0, 0])).toEqual([
    false,
    true,
    false,
    true,
  ]);
});

test('our own sessions and their work are no activity, however late the server counts them', () => {
  expect(statistics([5, 10, 0, 0], [5, 10, 1, 1], [6, 10, 1, 0], [6, 90, 1, 0], [6, 90, 1, 0])).toEqual([
    false,
    false,
    false,
    false,
    false,
  ]);
});

test('a session of somebody else beside ours is activity', () => {
  expect(statistics([5, 10, 0, 0], [5, 10, 1, 1], [7, 10, 1, 0])).toEqual([false, false, true]);
});

test('statistics that are switched on again begin with a new baseline', () => {
  expect(statistics([5, 10, 0, 0], [null, null, 0, 0], [9, 90, 0, 0], [10, 90, 0, 0])).toEqual([
    false,
    false,
    false,
    true,
  ]);
});
