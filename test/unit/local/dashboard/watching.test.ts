import { expect, test } from 'vitest';
import { never } from '../../../../src/core/abort.ts';
import { Watching } from '../../../../src/local/dashboard/watching.ts';

/** Work that goes on after its abort until it is let go. */
function rig(closed: AbortSignal = never) {
  const signals: AbortSignal[] = [];
  let letGo = (): void => {};
  const work = (signal: AbortSignal): Promise<void> => {
    signals.push(signal);
    return new Promise((resolve) => (letGo = resolve));
  };
  return { watching: new Watching(work, 0, closed), signals, letGo: () => letGo() };
}

test('a page that came while the last look was ending was never told anything', async () => {
  const { watching, signals, letGo } = rig();
  watching.watchedBy(1);
  watching.watchedBy(0);
  await expect.poll(() => signals[0]?.aborted).toBe(true);
  watching.watchedBy(1);
  expect(signals).toHaveLength(1);
  letGo();
  await expect.poll(() => signals.length).toBe(2);
  expect(signals[1]?.aborted).toBe(false);
});

test('who comes back in time ends nothing, and without watchers nothing begins', async () => {
  const { watching, signals, letGo } = rig();
  watching.watchedBy(0);
  expect(signals).toEqual([]);
  watching.watchedBy(1);
  watching.watchedBy(0);
  watching.watchedBy(2);
  const ended = watching.ended();
  expect(signals).toHaveLength(1);
  watching.watchedBy(0);
  letGo();
  await ended;
  expect(signals).toHaveLength(1);
});

test('once it is closed, nothing begins', async () => {
  const over = new AbortController();
  const { watching, signals, letGo } = rig(over.signal);
  watching.watchedBy(1);
  over.abort();
  expect(signals[0]?.aborted).toBe(true);
  letGo();
  await watching.ended();
  watching.watchedBy(2);
  expect(signals).toHaveLength(1);
});
