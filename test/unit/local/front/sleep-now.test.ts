import { expect, test } from 'vitest';
import { never } from '../../../../src/core/abort.ts';
import { monotonicMs } from '../../../../src/core/clock.ts';
import { SleepNow } from '../../../../src/local/front/sleep-now.ts';

test('who asks for sleep does not wait for the next look, and is told when it sleeps', async () => {
  const now = new SleepNow();
  await expect(now.ask(never)).rejects.toThrow('never sleep');
  const looks = now.pause(600_000, never);
  const asked = now.ask(never);
  await looks;
  expect(now.isAsked).toBe(true);
  const other = now.ask(never);
  now.held([{ kind: 'statement', who: 'role "ann"', sinceMs: 0 }]);
  now.asleep();
  await Promise.all([asked, other, now.ask(never)]);
  expect(now.isAsked).toBe(false);
});

test('what keeps it awake for a while is the reason why it does not sleep', async () => {
  const now = new SleepNow(100);
  void now.pause(600_000, never).catch(() => {});
  const asked = now.ask(never);
  const startMs = monotonicMs();
  while (now.isAsked) {
    await now.pause(600_000, never);
    now.held([{ kind: 'transaction', who: 'role "ann"', sinceMs: 5 }]);
  }
  expect(monotonicMs() - startMs).toBeGreaterThan(90);
  await expect(asked).rejects.toThrow('it is kept awake by transaction: role "ann"');
});

test('an abort ends the wait of both sides', async () => {
  const now = new SleepNow();
  const stop = new AbortController();
  const looks = now.pause(600_000, stop.signal);
  const asked = now.ask(stop.signal);
  stop.abort();
  await expect(asked).rejects.toThrow();
  await expect(looks).rejects.toThrow();
});
