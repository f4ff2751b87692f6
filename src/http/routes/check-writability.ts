import * as v from 'valibot';
import { route } from './route.ts';

export const checkWritability = route({
  method: 'POST',
  path: '/check_writability',
  auth: 'jwt',
  allowedIn: ['running'],
  summary:
    'Writes a row to the table public.health_check in the system database; the first call creates the table. A full disk counts as success.',
  differs:
    'the table is written to only while it is as compute_ctl creates it, belongs to its role and has nothing attached to it (triggers, rules, policies, constraints, defaults, inheritance and so on); nobody else gets rights on it. A lock that somebody holds is 500 after two seconds, with the session that holds it.',
  reply: v.pipe(v.literal(true), v.description('Postgres accepts writes.')),
  errors: ['wrong_status', 'sql', 'deadline'],
  // The check has a limit of its own; this one is for everything around it.
  limitMs: 20_000,
  handler: ({ signal }, app) => app.checkWritability(signal),
});
