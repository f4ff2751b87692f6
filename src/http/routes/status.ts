import { route } from './route.ts';
import { computeStatus } from './fields.ts';

export const status = route({
  method: 'GET',
  path: '/status',
  auth: 'jwt',
  summary: 'Tells what the compute is doing.',
  reply: computeStatus,
  errors: [],
  handler: (_, app) => app.status(),
});
