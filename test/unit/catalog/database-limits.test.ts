import { expect, test } from 'vitest';
import { DatabaseLimits } from '../../../src/catalog/database-limits.ts';
import { defaultLimits } from '../../../src/catalog/session.ts';
import { sleep } from '../../../src/core/clock.ts';

const never = new AbortController().signal;
const failingAfter = (ms: number) => async (): Promise<never> => {
  await sleep(ms, never);
  throw new Error('locked');
};

test('what databases that fail use up is missing to those after them; what succeeds costs nothing', async () => {
  const limits = new DatabaseLimits(defaultLimits);
  expect(limits.limits).toEqual(defaultLimits);
  await limits.spend(() => sleep(30, never));
  expect(limits.limits).toEqual(defaultLimits);
  await expect(limits.spend(failingAfter(30))).rejects.toThrow('locked');
  expect(limits.limits.lockMs).toBeLessThanOrEqual(defaultLimits.lockMs - 29);
  expect(limits.limits.overallMs).toBe(defaultLimits.overallMs);
});

test('every database gets a moment, and none gets more than the limits say', async () => {
  const given = { connectMs: 2010, statementMs: 10_010, lockMs: 5, overallMs: 60_000 };
  const limits = new DatabaseLimits(given);
  await expect(limits.spend(failingAfter(40))).rejects.toThrow('locked');
  expect(limits.limits).toEqual({ connectMs: 2000, statementMs: 10_000, lockMs: 5, overallMs: 60_000 });
});
