import { expect, test } from 'vitest';
import { attributeOf, parseValidUntil } from '../../../src/catalog/role-attributes.ts';
import { attributeList, otherOptions } from '../../../src/catalog/role-options.ts';

test.each([
  ['2031-02-03', '2031-02-03T00:00:00Z'],
  ['2031-02-03 04:05', '2031-02-03T04:05:00Z'],
  ['2031-02-03T04:05:06.7Z', '2031-02-03T04:05:06.7Z'],
  ['2031-02-03 04:05:06+02', '2031-02-03T02:05:06Z'],
  ['2031-02-03 04:05:06-0330', '2031-02-03T07:35:06Z'],
])('%s is %s', (text, expected) => {
  expect(parseValidUntil(text)).toBe(Date.parse(expected));
});

test('a time that cannot be compared is not an attribute, and goes to the server as it is', () => {
  expect(parseValidUntil('infinity')).toBe('infinity');
  const option = { name: 'VALID UNTIL', value: 'next tuesday', vartype: 'string' };
  expect(attributeOf(option)).toBeNull();
  expect(otherOptions([option]).map(String)).toEqual(["VALID UNTIL 'next tuesday'"]);
});

test('options are attributes whatever their case and spacing', () => {
  expect(attributeOf({ name: 'NoCreateDB', value: null, vartype: 'bool' })).toEqual({ createdb: false });
  expect(attributeOf({ name: 'connection  LIMIT', value: '-1', vartype: 'integer' })).toEqual({
    connectionLimit: -1,
  });
  expect(String(attributeList({ login: true, superuser: false, connectionLimit: 3, validUntil: 0 }))).toBe(
    "nosuperuser login connection limit 3 valid until '1970-01-01T00:00:00.000Z'",
  );
});
