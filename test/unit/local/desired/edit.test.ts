import { expect, test } from 'vitest';
import { edited } from '../../../../src/local/desired/edit.ts';
import { parseKey } from '../../../../src/local/desired/key.ts';
import { template } from '../../../../src/local/desired/template.ts';
import { read } from './support.ts';

test.each([
  ['settings.work_mem', ['settings', 'work_mem']],
  ['settings.pg_stat_statements.max', ['settings', 'pg_stat_statements.max']],
  ['settings["pg_stat_statements.max"]', ['settings', 'pg_stat_statements.max']],
  ['databases[1].owner', ['databases', 1, 'owner']],
  ['roles', ['roles']],
])('the key %s', (key, path) => {
  expect(parseKey(key)).toEqual(path);
});

test.each(['', '.a', 'a..b', 'a[', 'a[-1]', 'a b', 'roles[0]name', String.raw`a["\q"]`])(
  'no key: %j',
  (key) => {
    expect(() => parseKey(key)).toThrow('cannot read the key');
  },
);

test('a change leaves the comments and all other lines as they are', () => {
  const source = read(template).source;
  const { text } = edited(source, ['settings', 'work_mem'], '64MB');
  const added = text.split('\n').filter((line) => !template.split('\n').includes(line));
  expect(added).toEqual(['    "work_mem": "64MB"']);
  expect(template.split('\n').filter((line) => !text.split('\n').includes(line))).toEqual([]);
});

const commented = `{
  // why
  "settings": {
    "work_mem": "4MB", // small
    /* off */
    "jit": false // slow
  }
}
`;

test('a value is changed in place', () => {
  const { source } = read(commented);
  expect(edited(source, ['settings', 'work_mem'], '8MB').text).toBe(commented.replace('4MB', '8MB'));
});

test('a value that is removed leaves all comments', () => {
  const { source } = read(commented);
  const { text } = edited(source, ['settings', 'jit'], undefined);
  expect(text).toBe(commented.replace('"jit": false', ''));
  expect(edited(source, ['settings', 'work_mem'], undefined).text).toBe(
    commented.replace('"work_mem": "4MB",', ''),
  );
  const alone = read('{\n  "settings": {\n    "a": 1,\n    "b": 2\n  }\n}\n').source;
  expect(edited(alone, ['settings', 'b'], undefined).text).toBe('{\n  "settings": {\n    "a": 1,\n  }\n}\n');
});

test('a value that is added stands behind the comment of the last one', () => {
  const { source } = read(commented);
  const { text } = edited(source, ['settings', 'x.y'], 5);
  expect(text).toBe(commented.replace('false // slow', 'false, // slow\n    "x.y": 5'));
  const { source: next } = read(text);
  expect(edited(next, ['settings', 'x.y'], undefined).text).toBe(
    commented.replace('false // slow', 'false, // slow'),
  );
});

test('an item is added behind the last one', () => {
  const { source } = read('{ "roles": [ { "name": "a" } ] }');
  const { text } = edited(source, ['roles', 1], { name: 'b' });
  expect(read(text).desired.roles).toEqual([{ name: 'a' }, { name: 'b' }]);
});

test('a change that makes the file invalid is refused with the place where it would be', () => {
  const { source } = read('{ "settings": {} }');
  expect(() => edited(source, ['settings', 'port'], 1)).toThrow('settings.port: cannot be given');
  expect(() => edited(source, ['settings', 'a', 'b'], 1)).toThrow('settings.a');
});

test('a value is removed where the comma stands before the next one', () => {
  const text = '{\n  "settings": {\n    "a": 1\n    , "b": 2\n  }\n}\n';
  const { source } = read(text);
  expect(read(edited(source, ['settings', 'a'], undefined).text).desired.settings).toEqual({ b: 2 });
  expect(read(edited(source, ['settings', 'b'], undefined).text).desired.settings).toEqual({ a: 1 });
});
