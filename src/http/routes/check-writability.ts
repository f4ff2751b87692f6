import * as v from 'valibot';
import { route } from './route.ts';

export const checkWritability = route({
  method: 'POST',
  path: '/check_writability',
  auth: 'jwt',
  allowedIn: ['running'],
  summary:
    'Writes a row to the table public.health_check in the system database; the first call creates the table. A full disk counts as success.',
  reply: v.pipe(v.literal(true), v.description('Postgres accepts writes.')),
  errors: ['wrong_status', 'sql', 'deadline'],
  // The check has a limit of its own; this one is for everything around it.
  limitMs: 20_000,
  handler: ({ signal }, app) => app.checkWritability(signal),
});
