import { expect, test } from 'vitest';
import { never } from '../../../src/core/abort.ts';
import { ComputeError } from '../../../src/core/errors.ts';
import { Retries } from '../../../src/core/retries.ts';
import { retry } from '../../../src/core/retry.ts';

const time = expect.stringMatching(/^\d{4}-.*Z$/) as string;
const error = new ComputeError('pageserver', 'nobody listens', { hint: 'check the address' });

test('what is retried says which, how often, since when, why, and when it gives up, until it has succeeded', async () => {
  const retries = new Retries();
  const seen: unknown[] = [];
  const result = await retry(
    async (_, attempt) => {
      seen.push(retries.list());
      if (attempt < 3) throw error;
      return 'done';
    },
    { what: 'x', pauseMs: () => 0, attempts: 5, totalMs: 60_000, track: retries.track('pageserver') },
    never,
  );
  const shown = {
    what: 'pageserver',
    since: time,
    error: 'nobody listens (HINT: check the address)',
    next_try: null,
    max_attempts: 5,
    gives_up: time,
  };
  expect([result, seen]).toEqual(['done', [[], [{ ...shown, failures: 1 }], [{ ...shown, failures: 2 }]]]);
  expect(retries.list()).toEqual([]);
});

test('the time of the first failure stays, and the next try is known during a pause', () => {
  const retries = new Retries();
  const track = retries.track('refresh');
  track.begin({ attempts: Infinity, totalMs: Infinity });
  track.failed({ attempt: 1, error, pauseMs: 60_000 });
  const [first] = retries.list();
  expect(first).toMatchObject({ next_try: time, max_attempts: null, gives_up: null });
  for (const then = Date.now(); Date.now() === then;);
  track.failed({ attempt: 2, error, pauseMs: 0 });
  expect(retries.list()).toEqual([{ ...first, failures: 2, next_try: null }]);
});

test('what was given up, or cut off, is not retried any more', async () => {
  const retries = new Retries();
  const stop = new AbortController();
  const failing = (): Promise<never> => Promise.reject(error);
  const options = { what: 'x', track: retries.track('safekeepers') };
  await expect(retry(failing, { ...options, pauseMs: () => 1, attempts: 2 }, never)).rejects.toBe(error);
  expect(retries.list()).toEqual([]);
  const pausing = retry(failing, { ...options, pauseMs: () => 60_000 }, stop.signal);
  pausing.catch(() => {});
  while (retries.list().length === 0) await Promise.resolve();
  stop.abort(new Error('stopped'));
  await expect(pausing).rejects.toThrow();
  expect(retries.list()).toEqual([]);
});
