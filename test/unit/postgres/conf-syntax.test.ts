import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { concurrencyOf } from '../../../src/catalog/concurrency.ts';
import { confValue, quoteConf, settingName } from '../../../src/postgres/conf-syntax.ts';
import { preloadLibraries } from '../../../src/postgres/preload-libraries.ts';
import { serverSetting } from '../../../src/postgres/server-setting.ts';
import { inputFor } from '../../pg/catalog/support.ts';

test.each([
  ["x = 'a'", 'a'],
  ["x 'a'", 'a'],
  ['X=b', 'b'],
  ["x = 'it''s \\\\ me'", "it's \\ me"],
  ["x = 'a'\nx = 'b'", 'b'],
  ["# x = 'a'", null],
  ["y = 'x = 1'", null],
  ['xx = 1', null],
  ["x 'a' # b", 'a'],
  ["x'a'", 'a'],
  ['\tx=-5#c\r', '-5'],
  ['x = a-b:c/d.e', 'a-b:c/d.e'],
  ["x = 'tab\\t, \\101, \\303\\251'", 'tab\t, A, é'],
  ["x = ''", ''],
  ['x = 1\nx = 1 2', '1'],
  ['x = a.b', null],
  ['x-1', null],
  ['x', null],
  ["x = 'a\n'", null],
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

const target = { host: 'h', port: 1, user: 'u', password: null, database: 'd', options: '' };
const withConf = (postgresql_conf: string, settings: object[] = []) =>
  inputFor(target, { cluster: { roles: [], databases: [], settings, postgresql_conf } });

test('two readers of the same setting agree on MAX_CONNECTIONS = 6', () => {
  const input = withConf(
    'max_connections = 100\nMAX_CONNECTIONS = 6\nShared_Preload_Libraries \'neon, "a"\'',
  );
  expect(serverSetting(input.spec, 'max_connections')).toBe('6');
  expect(concurrencyOf(input)).toBe(6);
  expect(preloadLibraries(input.spec)).toBe('neon, "a"');
});

test('a setting with a $ in its name does not make PostgreSQL refuse the whole file', () => {
  expect(() => settingName('my.a$b', 'spec.cluster.settings[0].name')).toThrow(
    'is not the name of a setting',
  );
});

test('of a setting that the spec has twice the last one counts, as in the server', () => {
  const row = (name: string, value: string | null, vartype = 'integer') => ({ name, value, vartype });
  const rows = [
    row('max_connections', '5'),
    row('Max_Connections', "'7' # for now"),
    row('max_connections', null),
  ];
  expect(serverSetting(withConf('max_connections=9', rows).spec, 'max_connections')).toBe('7');
  expect(serverSetting(withConf('max_connections=9').spec, 'max_connections')).toBe('9');
  const text = [row('x', "'7' # text", 'string')];
  expect(serverSetting(withConf('', text).spec, 'x')).toBe("'7' # text");
});
