import { route } from './route.ts';
import { probeStatus } from './fields.ts';

export const livez = route({
  method: 'GET',
  path: '/livez',
  auth: 'none',
  quiet: true,
  summary: 'Answers 200 as long as the process serves requests.',
  reply: probeStatus,
  errors: [],
  handler: (_, { lifecycle: { status } }) => ({ status }),
});
