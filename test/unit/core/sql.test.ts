import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { Secret } from '../../../src/core/secret.ts';
import { body, checked, ident, integer, join, literal, nameFault, sql } from '../../../src/core/sql.ts';

test.each([
  ['sales', '"sales"', "'sales'"],
  ["o'brien", `"o'brien"`, "'o''brien'"],
  ['back\\slash', '"back\\slash"', "E'back\\\\slash'"],
  ['say "hi"', '"say ""hi"""', `'say "hi"'`],
  ["a';DROP ROLE z;--", `"a';DROP ROLE z;--"`, "'a'';DROP ROLE z;--'"],
  ["$& $' $`", `"$& $' $\`"`, "'$& $'' $`'"],
])('%j is quoted as a name and as a value', (text, name, value) => {
  expect(ident(text).reveal()).toBe(name);
  expect(literal(text).reveal()).toBe(value);
});

test('a secret shows only where the text is revealed', () => {
  const statement = sql`alter role ${ident('ann')} password ${literal(new Secret('SCRAM$x'))}`;
  expect(statement.reveal()).toBe(`alter role "ann" password 'SCRAM$x'`);
  expect(statement.secret).toBe(true);
  const shown = `alter role "ann" password '***'`;
  expect([String(statement), JSON.parse(JSON.stringify(statement)), inspect(statement)]).toEqual([
    shown,
    shown,
    shown,
  ]);
  expect(inspect(sql`begin; ${statement}`)).not.toContain('SCRAM');
  expect(String(sql`do ${body(statement)}`)).not.toContain('SCRAM');
});

test('names that the server would cut or refuse are faults', () => {
  expect(nameFault('x'.repeat(63))).toBeNull();
  expect(nameFault('é'.repeat(32))).toBe('is 64 bytes long, more than 63');
  expect(nameFault('')).toBe('is empty');
  expect(nameFault('a\0b')).toContain('NUL');
  expect(nameFault('a\uD800b')).toContain('surrogate');
  expect(() => ident('')).toThrow(RangeError);
  expect(() => literal('\0')).toThrow(RangeError);
});

test('the tag of a body does not occur in it', () => {
  expect(body(sql`maxxed`).reveal()).toBe('$xxx$maxxed$xxx$');
  expect(body(sql`y$`).reveal()).toBe('$x$y$$x$');
});

test('text that is neither a name nor a value must match a pattern', () => {
  expect(checked('template0', /^\w+$/).reveal()).toBe('template0');
  expect(() => checked('template0; drop', /^\w+$/)).toThrow(RangeError);
  expect(() => integer(1.5)).toThrow(RangeError);
  expect(join([]).reveal()).toBe('');
  expect(join([integer(1), integer(2n)]).reveal()).toBe('1, 2');
});
