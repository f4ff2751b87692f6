import { json } from '../answer.ts';
import { route } from './route.ts';
import { probeFields, readinessBody } from './fields.ts';

export const readyz = route({
  method: 'GET',
  path: '/readyz',
  auth: 'none',
  quiet: true,
  summary:
    'Answers 200 while Postgres accepts clients and answers them, or answers that it has no free connection. 503 also when commits do not return.',
  reply: readinessBody,
  otherReplies: { 503: 'Postgres is not ready for clients, or commits do not return.' },
  errors: [],
  handler: (_, { readiness, full, writesStopped, lifecycle: { status } }) =>
    json(readiness.ok ? 200 : 503, {
      status,
      ...probeFields(readiness),
      ...(full && { full }),
      ...(writesStopped && { writes_stopped: true }),
    }),
});
