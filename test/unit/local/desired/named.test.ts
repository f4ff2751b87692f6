import { expect, test } from 'vitest';
import { byName, namesIn } from '../../../../src/local/desired/named.ts';
import { edited } from '../../../../src/local/desired/edit.ts';
import { read } from './support.ts';

const { source } = read(
  '{ "roles": [{ "name": "web" }], "databases": [{ "name": "a" }, { "name": "b" }], "extensions": ["vector"] }',
);

const after = (path: readonly (string | number)[], value: unknown, from = source): unknown => {
  const change = byName(from, path, value);
  return edited(from, change.at, change.value).value;
};

test('an item is found by its name', () => {
  expect(byName(source, ['databases', 'b', 'owner'], 'web')).toEqual({
    at: ['databases', 1, 'owner'],
    value: 'web',
  });
  expect(byName(source, ['databases', 'b'], undefined)).toEqual({ at: ['databases', 1], value: undefined });
  expect(byName(source, ['databases', 1], 'x')).toEqual({ at: ['databases', 1], value: 'x' });
  expect(byName(source, ['settings', 'roles'], 'x')).toEqual({ at: ['settings', 'roles'], value: 'x' });
});

test('a name that is new becomes an item behind the last one, also where there is no list yet', () => {
  expect(after(['databases', 'c', 'owner'], 'web')).toMatchObject({
    databases: [{ name: 'a' }, { name: 'b' }, { name: 'c', owner: 'web' }],
  });
  expect(after(['roles', 'report'], {})).toMatchObject({ roles: [{ name: 'web' }, { name: 'report' }] });
  expect(after(['roles', 'web', 'createdb'], false, read('{}').source)).toEqual({
    roles: [{ name: 'web', createdb: false }],
  });
});

test('an extension that is a name alone becomes an object when it gets a member', () => {
  expect(after(['extensions', 'vector', 'databases'], ['a'])).toMatchObject({
    extensions: [{ name: 'vector', databases: ['a'] }],
  });
});

test('what is no item is refused with what would be one', () => {
  expect(() => byName(source, ['roles', 'x'], 'y')).toThrow('an item of roles is an object, and not "y"');
  expect(() => byName(source, ['roles', 'x', 'a', 'b'], 'y')).toThrow('roles has no "x" with a');
});

test('messages name what leads further', () => {
  expect(namesIn([{ name: 'a' }, 'vector', 5])).toEqual(['a', 'vector', '[2]']);
  expect(namesIn({ b: 1 })).toEqual(['b']);
  expect(namesIn('text')).toEqual([]);
});
