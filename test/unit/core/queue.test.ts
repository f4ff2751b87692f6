import { expect, test } from 'vitest';
import { inLanes } from '../../../src/core/queue.ts';
import { sleep } from '../../../src/core/clock.ts';

const never = new AbortController().signal;

test('jobs run side by side, never more than allowed', async () => {
  let busy = 0;
  let most = 0;
  const seen: number[] = [];
  await inLanes([1, 2, 3, 4, 5], 2, never, async (job, _, signal) => {
    most = Math.max(most, ++busy);
    await sleep(1, signal);
    busy--;
    seen.push(job);
  });
  expect(most).toBe(2);
  expect(seen.toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5]);
});

test('after a failure the others are cancelled and awaited, and all that failed are named', async () => {
  const ended: number[] = [];
  const work = inLanes([1, 2, 3, 4], 3, never, async (job, _, signal) => {
    try {
      if (job === 1) throw new Error('first');
      await sleep(60_000, signal);
    } catch (error) {
      ended.push(job);
      if (job === 2) throw new Error('second', { cause: error });
      throw error;
    }
  });
  await expect(work).rejects.toMatchObject({ errors: [{ message: 'first' }, { message: 'second' }] });
  expect(ended.toSorted((a, b) => a - b)).toEqual([1, 2, 3]);
});

test('an abort from outside passes through', async () => {
  const outer = new AbortController();
  const work = inLanes([1], 1, outer.signal, (_, __, signal) => sleep(60_000, signal));
  outer.abort();
  await expect(work).rejects.toMatchObject({ name: 'AbortError' });
});
