import * as v from 'valibot';
import { route } from './route.ts';

export const checkWritability = route({
  method: 'POST',
  path: '/check_writability',
  auth: 'jwt',
  allowedIn: ['running'],
  summary:
    'Writes a row to public.health_check of the system database, which it creates at the first call. A full disk counts as success.',
  reply: v.pipe(v.literal(true), v.description('Postgres takes writes.')),
  errors: ['wrong_status', 'sql', 'deadline'],
  // The check has a limit of its own; this one is for what is beyond it.
  limitMs: 20_000,
  handler: ({ signal }, app) => app.checkWritability(signal),
});
