import { json } from '../answer.ts';
import { route } from './route.ts';
import { probeFields, startupBody } from './fields.ts';

export const startupz = route({
  method: 'GET',
  path: '/startupz',
  auth: 'none',
  quiet: true,
  summary:
    'Answers 200 once the first start has succeeded; with --empty-counts-as-started also while the compute waits for its first spec.',
  reply: startupBody,
  otherReplies: { 503: 'The first start has not finished.' },
  errors: [],
  handler: (_, { startup, lifecycle: { status } }) =>
    json(startup.ok ? 200 : 503, { status, ...probeFields(startup) }),
});
