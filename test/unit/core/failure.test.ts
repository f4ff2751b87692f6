import { readFileSync, readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ComputeError, errorText, explained, hintOf, errorCodes } from '../../../src/core/errors.ts';
import { LastWords, explain, partsOf } from '../../../src/core/failure.ts';

const inner = new ComputeError('connstr', 'inner', { hint: 'write it as a URL' });
const middle = new Error('middle', { cause: inner });
const outer = new ComputeError('basebackup', 'outer', { cause: middle, hint: 'look at the pageserver' });

test('a hint of any cause reaches whoever reads the error, once, in every form', () => {
  const both = 'look at the pageserver; write it as a URL';
  expect(hintOf(outer)).toBe(both);
  expect(explained(outer)).toBe(`outer: middle: inner (HINT: ${both})`);
  expect(errorText(outer)).toBe(
    'Error: outer: middle: inner\nHint: look at the pageserver\nHint: write it as a URL\nCode: basebackup',
  );
  const again = new ComputeError('sql', 'again', { cause: inner, hint: 'write it as a URL' });
  expect(explained(again)).toBe('again: inner (HINT: write it as a URL)');
  expect(explained(new Error('bare'))).toBe('bare');
  expect(hintOf('not an error')).toBeNull();
});

test('the error of the status holds step, SQLSTATE, hint and code after the causes', () => {
  const words = new LastWords('PostgreSQL: FATAL 42704: no such setting', '42704');
  const error = new ComputeError('postgres_start', 'Postgres exited unexpectedly with code 1', {
    cause: words,
    hint: 'correct it',
  });
  const failure = explain(error, 'start-postgres');
  expect(failure.text).toBe(
    [
      'Postgres exited unexpectedly with code 1',
      '',
      'Caused by:',
      '    PostgreSQL: FATAL 42704: no such setting',
      '',
      'Hint: correct it',
      'Step: start-postgres',
      'SQLSTATE: 42704',
      'Code: postgres_start',
    ].join('\n'),
  );
  expect(partsOf(failure)).toEqual({
    code: 'postgres_start',
    step: 'start-postgres',
    sqlstate: '42704',
    postgres: 'PostgreSQL: FATAL 42704: no such setting',
    hint: 'correct it',
    since: expect.stringMatching(/Z$/) as string,
  });
});

test('an error that nobody gave a code is a bug, and says so', () => {
  expect(explain('boom')).toMatchObject({
    code: 'internal',
    step: null,
    hint: errorCodes.internal.act,
    text: `boom\n\nHint: ${errorCodes.internal.act}\nCode: internal`,
  });
  const within = new Error('outer', { cause: inner });
  expect(explain(within)).toMatchObject({ code: 'connstr', hint: 'write it as a URL' });
});

test('no log line about an error leaves its hints out', () => {
  const src = new URL('../../../src/', import.meta.url);
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  );
  const lines = files.flatMap((name) =>
    // Calls go over several lines: each is looked at up to its end.
    [
      ...readFileSync(new URL(name, src), 'utf8').matchAll(
        /\blog\??\.(?:error|warn|info|fatal|debug)\([^;]*;/g,
      ),
    ]
      .filter(([call]) => /\b(?:inline|multiline|messageOf|causeChain)\(/.test(call))
      .map(([call]) => `${name}: ${call}`),
  );
  expect(files.length).toBeGreaterThan(100);
  expect(lines).toEqual([]);
});
