import { expect, test } from 'vitest';
import { never } from '../../../src/core/abort.ts';
import { monotonicMs, sleep } from '../../../src/core/clock.ts';
import { poll, until } from '../../../src/core/poll.ts';

/** Takes its time and lets nothing else run meanwhile, as a look through /proc does. */
function block(ms: number): void {
  for (const endMs = monotonicMs() + ms; monotonicMs() < endMs;);
}

test('deadlines are not counted as sums of sleeps: slow looks count, too (a limit of 300 ms took 6.3 s)', async () => {
  let looks = 0;
  const slow = (): null => {
    looks++;
    block(100);
    return null;
  };
  expect(await poll(slow, { everyMs: 10, limitMs: 300 }, never)).toBeNull();
  // Thirty sleeps of 10 ms would have been thirty looks. On a slow machine there are fewer than four.
  expect(looks).toBeGreaterThan(0);
  expect(looks).toBeLessThanOrEqual(4);
});

test('a look that waits for ever does not outlast the limit, and hears that it is over', async () => {
  let heard = false;
  const stuck = (signal: AbortSignal): Promise<null> => {
    signal.addEventListener('abort', () => (heard = true));
    return new Promise(() => {});
  };
  expect(await poll(stuck, { everyMs: 10, limitMs: 30 }, never)).toBeNull();
  expect(heard).toBe(true);
});

test('what is there is found without a pause, also when there is no time at all', async () => {
  expect(await poll(() => 'here', { everyMs: 60_000, limitMs: 0 }, never)).toBe('here');
  let looks = 0;
  const third = async (): Promise<number | null> => (++looks === 3 ? looks : null);
  expect(await poll(third, { everyMs: 1, limitMs: Infinity }, never)).toBe(3);
});

test('the last look is made when the time is up, not a pause earlier', async () => {
  const endMs = monotonicMs() + 50;
  const late = (): true | null => (monotonicMs() >= endMs ? true : null);
  expect(await poll(late, { everyMs: 60_000, limitMs: 50 }, never)).toBe(true);
});

test('it says what it waited for, passes errors of the look on, and ends with its signal at once', async () => {
  const times = { everyMs: 5, limitMs: 20 };
  await expect(until('the end of the world', () => false, times, never)).rejects.toMatchObject({
    code: 'deadline',
    message: 'the end of the world took longer than 20 ms',
  });
  await until('this', async () => true, times, never);
  const broken = (): Promise<null> => Promise.reject(new Error('broken'));
  await expect(poll(broken, times, never)).rejects.toThrow('broken');
  const control = new AbortController();
  const reason = new Error('enough');
  const waiting = poll(
    (signal) => sleep(60_000, signal).then(() => null),
    { everyMs: 5, limitMs: 60_000 },
    control.signal,
  );
  control.abort(reason);
  await expect(waiting).rejects.toBe(reason);
  await expect(poll(() => null, times, control.signal)).rejects.toBe(reason);
});
