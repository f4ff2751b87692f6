import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { quoteConf } from '../../../src/postgres/conf-quote.ts';
import { addLibraries, confValue } from '../../../src/postgres/preload-libraries.ts';

test.each([
  ['neon', ['pgaudit'], 'neon,pgaudit'],
  ['neon,pgauditlogtofile', ['pgaudit'], 'neon,pgauditlogtofile,pgaudit'],
  ['pgaudit', ['pgaudit', 'pgauditlogtofile'], 'pgaudit,pgauditlogtofile'],
  [' neon , "$libdir/pgaudit.so" ', ['pgaudit'], 'neon , "$libdir/pgaudit.so"'],
  ['"odd,name"', ['odd'], '"odd,name",odd'],
  ['', ['pgaudit'], 'pgaudit'],
])('the list %j with %j added is %j', (list, libraries, result) => {
  expect(addLibraries(list, libraries)).toBe(result);
});

test.each([
  ["x = 'a'", 'a'],
  ["x 'a'", 'a'],
  ['X=b', 'b'],
  ["x = 'it''s \\\\ me'", "it's \\ me"],
  ["x = 'a'\nx = 'b'", 'b'],
  ["# x = 'a'", null],
  ["y = 'x = 1'", null],
  ['xx = 1', null],
])('in the text %j, x is %j', (text, value) => {
  expect(confValue(text, 'x')).toBe(value);
});

test('what is quoted for the conf file is read back the same', () => {
  const oneLine = fc.string().filter((text) => !/[\n\r\0]/.test(text));
  fc.assert(
    fc.property(oneLine, (text) => {
      expect(confValue(`x = ${quoteConf(text, 'x')}`, 'x')).toBe(text);
    }),
  );
});
