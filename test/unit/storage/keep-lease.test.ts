import { expect, test } from 'vitest';
import { backoffMs } from '../../../src/core/retry.ts';
import { renewalPauseMs, retryPauses } from '../../../src/storage/keep-lease.ts';

test.each([
  [600_000, 540_000],
  [300_000, 240_000],
  [120_000, 60_000],
  [119_000, 59_500],
  [60_000, 30_000],
  [14_000, 7000],
  [0, 1000],
  [-5000, 1000],
  [2_256_400_000_000, 3_600_000], // a clock that is behind by decades
])('a lease with %i ms to go is renewed after %i ms', (remaining, pause) => {
  expect(renewalPauseMs(remaining)).toBe(pause);
});

test('failures are followed by ever longer pauses, up to a minute', () => {
  const pauses = Array.from({ length: 14 }, (_, at) => backoffMs(at + 1, retryPauses, () => 0));
  expect(pauses).toEqual([
    500, 750, 1125, 1687, 2531, 3796, 5695, 8542, 12_814, 19_221, 28_832, 43_248, 60_000, 60_000,
  ]);
});
