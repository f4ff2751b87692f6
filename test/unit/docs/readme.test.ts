import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Tokens, lexer } from 'marked';
import { expect, test } from 'vitest';
import { pathOf } from '../../../src/docs/openapi.ts';
import { externalRoutes } from '../../../src/http/routes/external.ts';
import { internalRoutes } from '../../../src/http/routes/internal.ts';
import { services } from '../../../src/services/index.ts';

const read = (file: string): string =>
  readFileSync(fileURLToPath(new URL(`../../../${file}`, import.meta.url)), 'utf8');
const readme = read('README.md');
const routes = [...externalRoutes, ...internalRoutes];

const section = (title: string, of = readme): string => {
  const [, text = ''] = of.split(`\n## ${title}\n`);
  return text.split('\n## ')[0] ?? '';
};

test('the HTTP table of the README is one table, with every route and who may use it', () => {
  const tables = lexer(section('The HTTP API at a glance')).filter(
    (token): token is Tokens.Table => token.type === 'table',
  );
  expect(tables).toHaveLength(1);
  const rows = (tables[0]?.rows ?? []).map(([named, who]) => ({ named: named?.text ?? '', who: who?.text }));
  const listed = rows.flatMap(({ named, who }) =>
    [...named.matchAll(/`([A-Z]+ [^`]+)`/g)].map(([, route = '']) => [route, who] as const),
  );
  const who = new Map(
    routes.map((route) => [
      `${route.method} ${pathOf(route)}`,
      internalRoutes.includes(route) ? 'loopback, port 3081' : route.auth === 'jwt' ? 'bearer JWT' : 'all',
    ]),
  );
  expect(Object.fromEntries(listed)).toEqual(Object.fromEntries(who));
  expect(section('The HTTP API at a glance')).not.toMatch(/^\|.*\|\n\n\|/m);
});

test('the list of services has every one', () => {
  const rows = section('Services beside Postgres', read('docs/operating.md')).split('\n');
  for (const service of services) {
    const row = rows.find((one) => one.startsWith('|') && one.includes(`\`${service.name}\``));
    expect([service.name, row === undefined]).toEqual([service.name, false]);
  }
});
