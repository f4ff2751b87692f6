import { json } from '../answer.ts';
import { route } from './route.ts';
import { readiness } from './fields.ts';

export const readyz = route({
  method: 'GET',
  path: '/readyz',
  auth: 'none',
  quiet: true,
  summary:
    'Answers 200 while Postgres accepts clients and answers them, or answers that it has no free connection.',
  reply: readiness,
  otherReplies: { 503: 'Postgres is not ready for clients.' },
  errors: [],
  handler: (_, { ready, full, lifecycle: { status } }) =>
    json(ready ? 200 : 503, full ? { status, full } : { status }),
});
