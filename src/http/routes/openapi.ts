import * as v from 'valibot';
import { route } from './route.ts';

export const openapi = route({
  method: 'GET',
  path: '/openapi.json',
  auth: 'none',
  summary: 'The OpenAPI description of both servers.',
  reply: v.pipe(v.record(v.string(), v.unknown()), v.description('An OpenAPI 3.1 document.')),
  errors: [],
  limitMs: 10_000,
  handler: async () => {
    const { document } = await import('./openapi-document.ts');
    return document;
  },
});
