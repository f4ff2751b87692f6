import { expect, test } from 'vitest';
import { Queue, workThrough } from '../../../src/core/queue.ts';
import { never } from '../../../src/core/abort.ts';
import { sleep } from '../../../src/core/clock.ts';

test('jobs run side by side, never more than allowed', async () => {
  let busy = 0;
  let most = 0;
  const seen: number[] = [];
  await workThrough([1, 2, 3, 4, 5], 2, never, async (job, _, signal) => {
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
  const work = workThrough([1, 2, 3, 4], 3, never, async (job, _, signal) => {
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
  const work = workThrough([1], 1, outer.signal, (_, __, signal) => sleep(60_000, signal));
  outer.abort();
  await expect(work).rejects.toMatchObject({ name: 'AbortError' });
});

test('jobs that come one by one wait for their turn in order, whatever becomes of those before', async () => {
  const queue = new Queue(2);
  const seen: string[] = [];
  let busy = 0;
  let most = 0;
  const job = (name: string) => async (): Promise<string> => {
    most = Math.max(most, ++busy);
    seen.push(name);
    await sleep(1, never);
    busy--;
    if (name === 'b') throw new Error('b failed');
    return name;
  };
  const jobs = ['a', 'b', 'c', 'd', 'e'].map((name) => queue.add(job(name), never));
  expect(queue.size).toBe(5);
  expect((await Promise.allSettled(jobs)).map(({ status }) => status)).toEqual([
    'fulfilled',
    'rejected',
    'fulfilled',
    'fulfilled',
    'fulfilled',
  ]);
  expect(seen).toEqual(['a', 'b', 'c', 'd', 'e']);
  expect(most).toBe(2);
  await queue.idle();
  expect(queue.size).toBe(0);
});

test('a job whose signal aborts while it waits is dropped at once, and the next gets its turn', async () => {
  const queue = new Queue(1);
  let end = (): void => {};
  const first = queue.add(() => new Promise<void>((resolve) => (end = resolve)), never);
  const control = new AbortController();
  const reason = new Error('enough');
  let ran = false;
  const dropped = queue.add(async () => void (ran = true), control.signal);
  const last = queue.add(async () => 'last', never);
  control.abort(reason);
  await expect(dropped).rejects.toBe(reason);
  await expect(queue.add(async () => 'too late', control.signal)).rejects.toBe(reason);
  expect(queue.size).toBe(2);
  const idle = queue.idle();
  end();
  await first;
  expect(await last).toBe('last');
  await idle;
  expect(ran).toBe(false);
});
