import { expect, test } from 'vitest';
import { openApi } from '../../../src/docs/openapi.ts';
import { externalRoutes } from '../../../src/http/routes/external.ts';
import { internalRoutes, testRoutes } from '../../../src/http/routes/internal.ts';
import { undocumented } from '../../support/openapi.ts';

const routes = [...externalRoutes, ...internalRoutes, ...testRoutes];

test('every reference leads somewhere, and every named schema is used', () => {
  const text = JSON.stringify(openApi());
  const { schemas } = (openApi() as { components: { schemas: object } }).components;
  const used = new Set([...text.matchAll(/#\/components\/schemas\/(\w+)/g)].map(([, name]) => name));
  expect(used).toEqual(new Set(Object.keys(schemas)));
});

test('every route is there once, with an id of its own', () => {
  const ids = [...JSON.stringify(openApi()).matchAll(/"operationId":"(\w+)"/g)].map(([, id]) => id);
  expect(new Set(ids).size).toBe(routes.length);
  expect(ids).toEqual(expect.arrayContaining(['getStatus', 'getMetricsJson', 'deleteLfcPrewarm']));
});

test('no note for our own messages gets into the document, and secrets are passwords', () => {
  const text = JSON.stringify(openApi());
  for (const note of ['"expected"', '"integer":true', '"ignored"', '"secret"'])
    expect(text).not.toContain(note);
  expect(text).toContain('"format":"password"');
});

test('the check of answers sees what is not documented', () => {
  const seen = { method: 'GET', target: '/livez', status: 200, contentType: 'application/json' };
  expect(undocumented({ ...seen, body: '{"status":"running"}' })).toEqual([]);
  for (const body of ['{}', '{"status":"walking"}', '{"status":"running","more":1}', '[]', '1']) {
    expect(undocumented({ ...seen, body })).toHaveLength(1);
  }
  expect(undocumented({ ...seen, status: 418, body: '' })).toHaveLength(1);
  expect(undocumented({ ...seen, contentType: 'text/plain', body: 'a' })).toHaveLength(1);
});
