import { json } from '../answer.ts';
import { route } from './route.ts';
import { probeStatus } from './fields.ts';

export const startupz = route({
  method: 'GET',
  path: '/startupz',
  auth: 'none',
  quiet: true,
  summary: 'Answers 200 once the first start has succeeded.',
  reply: probeStatus,
  otherReplies: { 503: 'The first start has not finished.' },
  errors: [],
  handler: (_, { lifecycle: { started, status } }) => json(started ? 200 : 503, { status }),
});
