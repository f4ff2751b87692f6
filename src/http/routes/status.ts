import { route } from './route.ts';
import { computeStatus } from './fields.ts';

export const status = route({
  method: 'GET',
  path: '/status',
  auth: 'jwt',
  summary: "Shows the compute's status, and its last error.",
  reply: computeStatus,
  errors: [],
  handler: (_, app) => app.status(),
});
