import { expect, test } from 'vitest';
import { ComputeError } from '../../../src/core/errors.ts';
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
