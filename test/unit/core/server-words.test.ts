import { expect, test } from 'vitest';
import { ComputeError, inline, messageOf, multiline } from '../../../src/core/errors.ts';
import { forgetQuotes } from '../../../src/core/server-words.ts';

const serverError = (fields: object): Error =>
  Object.assign(new Error('it failed'), { severity: 'ERROR', code: '2BP01', ...fields });

test('DETAIL, HINT and CONTEXT of the server follow its message, on one line', () => {
  const error = serverError({
    detail: 'owner of table a\nowner of table b',
    hint: 'Drop them.',
    where: 'here',
  });
  const words = 'it failed (DETAIL: owner of table a; owner of table b HINT: Drop them. CONTEXT: here)';
  expect(messageOf(error)).toBe(words);
  const outer = new ComputeError('catalog', 'outer', { cause: error, hint: 'our own' });
  expect(inline(outer)).toBe(`outer: ${words}`);
  expect(multiline(outer)).toBe(`outer\n\nCaused by:\n    ${words}`);
});

test.each(['22P02', '23502', '23505', '23514', '44000'])(
  'what an error with SQLSTATE %s quotes of a row of users is not shown',
  (code) => {
    const row = { detail: 'Failing row contains (secret).', where: 'COPY t, line 1: "secret"' };
    expect(messageOf(serverError({ code, ...row, hint: 'Look.' }))).toBe('it failed (HINT: Look.)');
    expect(messageOf(serverError({ code, ...row, schema: 'public' }))).toBe('it failed');
  },
);

test('the key of a row in the system catalogs is shown', () => {
  const error = serverError({ code: '23505', schema: 'pg_catalog', detail: 'Key (datname)=(app) exists.' });
  expect(messageOf(error)).toBe('it failed (DETAIL: Key (datname)=(app) exists.)');
});

test('a DETAIL of any length is cut', () => {
  expect(messageOf(serverError({ detail: '😀'.repeat(100_000) })).length).toBeLessThan(2100);
});

test('what is not an error of a server has no such words', () => {
  expect(messageOf(Object.assign(new Error('it failed'), { detail: 'x', hint: 'y' }))).toBe('it failed');
  expect(messageOf(serverError({ detail: '', hint: undefined, where: 7 }))).toBe('it failed');
});

test('the error of a statement with a secret keeps its message and HINT alone', () => {
  const error = serverError({ detail: 'a', where: 'b', internalQuery: 'c', hint: 'Look.' });
  forgetQuotes(error);
  expect(Object.fromEntries(Object.entries(error))).toEqual({
    severity: 'ERROR',
    code: '2BP01',
    hint: 'Look.',
  });
});
