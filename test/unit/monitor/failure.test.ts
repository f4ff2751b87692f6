import { expect, test } from 'vitest';
import { ComputeError } from '../../../src/core/errors.ts';
import { Backoff } from '../../../src/monitor/backoff.ts';
import { classify } from '../../../src/monitor/failure.ts';

const coded = (code: string): Error =>
  new ComputeError('sql', 'could not connect to postgresql://a@b:1/c', {
    cause: Object.assign(new Error('driver'), { code }),
  });

test.each([
  ['connect', 'ECONNREFUSED', false, 'connect_refused', null],
  ['connect', 'ENOENT', false, 'connect_refused', null],
  ['connect', 'none', true, 'connect_timeout', null],
  ['query', 'none', true, 'query_timeout', null],
  ['connect', '53300', false, 'sqlstate', '53300'],
  ['query', '57P01', true, 'sqlstate', '57P01'],
  ['query', 'ECONNRESET', false, 'other', null],
] as const)('a failed %s with code %s, out of time: %s, is %s', (phase, code, timedOut, reason, sqlstate) => {
  expect(classify({ phase, error: coded(code), timedOut })).toEqual({
    reason,
    sqlstate,
    message: 'could not connect to postgresql://a@b:1/c: driver',
  });
});

test('a broken pipe (EPIPE) is not taken for the SQLSTATE that it looks like', () => {
  expect(classify({ phase: 'query', error: coded('EPIPE'), timedOut: false })).toMatchObject({
    reason: 'other',
    sqlstate: null,
  });
});

test('pauses double up to their limit, are shortened at random, and begin anew after a success', () => {
  const longest = new Backoff(100, 1000, () => 1);
  expect([1, 2, 3, 4, 5, 6].map(() => longest.next())).toEqual([100, 200, 400, 800, 1000, 1000]);
  longest.reset();
  expect(longest.next()).toBe(100);
  expect(new Backoff(100, 1000, () => 0).next()).toBe(50);
});
