import { expect, test } from 'vitest';
import { type Keep, oldestKept } from '../../../../src/local/storage/history.ts';

const hour = 3_600_000;
/** Taken so many hours ago, with so many bytes until the next one. */
const base = (hoursAgo: number, bytes = 10, isShared = false) => ({
  takenMs: -hoursAgo * hour,
  bytes,
  isShared,
});
const oldest = (bases: readonly ReturnType<typeof base>[], keep: Keep | null, diskIsLow = false): number =>
  oldestKept(bases, { keep, nowMs: 0, diskIsLow });
const days = (count: number, maxBytes: number | null = null): Keep => ({ seconds: count * 86_400, maxBytes });

test('without --keep, only the current base backup is kept', () => {
  expect(oldest([base(5), base(3), base(1)], null)).toBe(2);
  expect(oldest([base(5)], null)).toBe(0);
});

test('every moment of the kept time can be restored: the last base backup before it is kept', () => {
  expect(oldest([base(72), base(48), base(30), base(20), base(1)], days(1))).toBe(2);
  expect(oldest([base(20), base(1)], days(1))).toBe(0);
  expect(oldest([base(72)], days(1))).toBe(0);
});

test('what takes more than it may is removed, the oldest first; the current base backup never is', () => {
  expect(oldest([base(20, 50), base(10, 50), base(1, 50)], days(1, 100))).toBe(0);
  expect(oldest([base(20, 50), base(10, 50), base(1, 50)], days(1, 99))).toBe(1);
  expect(oldest([base(20, 50), base(10, 50), base(1, 500)], days(1, 10))).toBe(2);
});

test('while the disk is low, the oldest one goes at each look', () => {
  expect(oldest([base(20), base(10), base(1)], days(1), true)).toBe(1);
  expect(oldest([base(1)], days(1), true)).toBe(0);
  // It would free nothing.
  expect(oldest([base(20, 10, true), base(10), base(1)], days(1), true)).toBe(0);
});
