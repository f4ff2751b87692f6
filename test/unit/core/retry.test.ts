import { describe, expect, test } from 'vitest';
import { never } from '../../../src/core/abort.ts';
import { sleep } from '../../../src/core/clock.ts';
import { type Retry, backoffMs, repeat, retry } from '../../../src/core/retry.ts';

test('pauses double up to their limit, and are shortened at random', () => {
  const pauses = { firstMs: 100, maxMs: 1000, jitter: [0.5, 1] } as const;
  expect([1, 2, 3, 4, 5, 6].map((failures) => backoffMs(failures, pauses, () => 1))).toEqual([
    100, 200, 400, 800, 1000, 1000,
  ]);
  expect(backoffMs(1, pauses, () => 0)).toBe(50);
  expect(backoffMs(0, pauses)).toBe(0);
  expect([1, 2, 3, 4].map((failures) => backoffMs(failures, { firstMs: 1100, factor: 1.1 }))).toEqual([
    1100, 1210, 1331, 1464,
  ]);
});

describe('a retry', () => {
  const failing = (times: number) => {
    let calls = 0;
    return async (_signal: AbortSignal, attempt: number): Promise<number> => {
      if (++calls <= times) throw new Error(`failure ${attempt}`);
      return attempt;
    };
  };
  const quick = { what: 'the work', pauseMs: () => 1 };

  test('goes on until there is a success, and tells of each failure that it passes over', async () => {
    const seen: Retry[] = [];
    const pauseMs = (failures: number): number => failures - 1;
    const onRetry = (one: Retry): void => void seen.push(one);
    expect(await retry(failing(2), { what: 'the work', pauseMs, onRetry }, never)).toBe(3);
    expect(seen).toMatchObject([
      { attempt: 1, pauseMs: 0, error: { message: 'failure 1' } },
      { attempt: 2, pauseMs: 1, error: { message: 'failure 2' } },
    ]);
  });

  test('ends with the last error when the attempts are used up, or when it is of no use', async () => {
    await expect(retry(failing(9), { ...quick, attempts: 3 }, never)).rejects.toThrow('failure 3');
    const retryable = (error: unknown): boolean => (error as Error).message !== 'failure 2';
    await expect(retry(failing(9), { ...quick, retryable }, never)).rejects.toThrow('failure 2');
  });

  test('does not begin a pause that the total limit would cut off', async () => {
    const options = { what: 'the work', pauseMs: () => 60_000, totalMs: 50_000 };
    await expect(retry(failing(9), options, never)).rejects.toThrow('failure 1');
  });

  test('counts slow attempts in its total limit, ends the last one and waits for it', async () => {
    let attempts = 0;
    let ended = false;
    const slow = async (signal: AbortSignal): Promise<never> => {
      attempts++;
      try {
        await sleep(60_000, signal);
      } finally {
        await sleep(5, never);
        ended = true;
      }
      throw new Error('not reached');
    };
    await expect(retry(slow, { ...quick, totalMs: 30 }, never)).rejects.toMatchObject({
      code: 'deadline',
      message: 'the work took longer than 30 ms',
    });
    expect({ attempts, ended }).toEqual({ attempts: 1, ended: true });
  });

  test('ends with its signal at once, in an attempt and in a pause', async () => {
    const control = new AbortController();
    const reason = new Error('enough');
    const attempt = retry((signal) => sleep(60_000, signal), quick, control.signal);
    const pause = retry(failing(9), { what: 'the work', pauseMs: () => 60_000 }, control.signal);
    await sleep(1, never);
    control.abort(reason);
    await expect(attempt).rejects.toBe(reason);
    await expect(pause).rejects.toMatchObject({ name: 'AbortError' });
    await expect(retry(failing(0), quick, control.signal)).rejects.toBe(reason);
  });
});

test('what is repeated goes on after failures until the abort, which is not an error', async () => {
  const control = new AbortController();
  const errors: unknown[] = [];
  let times = 0;
  const work = async (): Promise<number> => {
    if (++times === 2) throw new Error('second');
    if (times < 4) return 0;
    control.abort();
    throw new Error('after the abort');
  };
  await repeat(work, control.signal, (error) => {
    errors.push(error);
    return 0;
  });
  expect(times).toBe(4);
  expect(errors).toMatchObject([{ message: 'second' }]);
  await expect(repeat(() => Promise.reject(new Error('defect')), never)).rejects.toThrow('defect');
});
