import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { abortedBy, linked, never, withLinked } from '../../../src/core/abort.ts';
import { raceAbort, sleep } from '../../../src/core/clock.ts';

test('the signal that never aborts keeps no listeners, however many are added', async () => {
  const warnings: Error[] = [];
  const warn = (warning: Error): void => void warnings.push(warning);
  process.on('warning', warn);
  for (let at = 0; at < 100; at++) {
    never.addEventListener('abort', () => {});
    linked(never);
    void raceAbort(new Promise(() => {}), never);
  }
  await sleep(1, never);
  process.off('warning', warn);
  expect(getEventListeners(never, 'abort')).toHaveLength(0);
  expect(warnings).toEqual([]);
  expect(never.aborted).toBe(false);
});

test('a linked signal aborts with the first of the outer ones and leaves nothing behind', async () => {
  const [one, other] = [new AbortController(), new AbortController()];
  const both = linked(one.signal, other.signal);
  const reason = new Error('enough');
  other.abort(reason);
  one.abort();
  expect(both.signal.reason).toBe(reason);
  const third = new AbortController();
  await withLinked([third.signal], () => Promise.reject(reason)).catch(() => {});
  const fourth = linked(third.signal);
  fourth.abort();
  fourth.release();
  expect(getEventListeners(third.signal, 'abort')).toHaveLength(0);
  expect(third.signal.aborted).toBe(false);
  expect(linked(third.signal, one.signal).signal.aborted).toBe(true);
});

test('an error is an abort only when the signal in question has aborted', async () => {
  const control = new AbortController();
  const abort = await sleep(1000, AbortSignal.abort()).catch((error: unknown) => error);
  expect(abortedBy(abort, control.signal)).toBe(false);
  const reason = new Error('enough');
  control.abort(reason);
  expect(abortedBy(abort, control.signal)).toBe(true);
  expect(abortedBy(reason, control.signal)).toBe(true);
  expect(abortedBy(new Error('its own fault'), control.signal)).toBe(false);
});
