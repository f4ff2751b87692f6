import { expect, test } from 'vitest';
import { concurrencyOf, concurrencyFor } from '../../../src/catalog/concurrency.ts';
import { inputFor } from '../../pg/catalog/support.ts';

const target = { host: 'h', port: 1, user: 'u', password: null, database: 'd', options: '' };

test.each([
  [null, 10],
  [0, 1],
  [5, 5],
  [10, 10],
  [29, 10],
  [30, 10],
  [100, 33],
  [299, 99],
  [300, 100],
  [5000, 100],
])('%s connections allow %i databases at a time', (connections, expected) => {
  expect(concurrencyFor(connections)).toBe(expected);
});

test('the limit is the setting, else the last line of the configuration text', () => {
  const settings = [{ name: 'max_connections', value: '100', vartype: 'integer' }];
  expect(concurrencyOf(inputFor(target, { settings }))).toBe(33);
  const conf = "max_connections = 5000\nmax_connections='300' # for now\n#max_connections=1";
  expect(
    concurrencyOf(inputFor(target, { cluster: { roles: [], databases: [], postgresql_conf: conf } })),
  ).toBe(100);
  expect(concurrencyOf(inputFor(target, {}))).toBe(10);
});

test('a reconfiguration takes the number of the spec, but never none', () => {
  expect(concurrencyOf(inputFor(target, { reconfigure_concurrency: 0 }, { stage: 'reconfigure' }))).toBe(1);
  expect(concurrencyOf(inputFor(target, { reconfigure_concurrency: 7 }, { stage: 'reconfigure' }))).toBe(7);
});
