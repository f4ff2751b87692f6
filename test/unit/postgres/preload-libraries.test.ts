import { expect, test } from 'vitest';
import { addLibraries } from '../../../src/postgres/preload-libraries.ts';

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
