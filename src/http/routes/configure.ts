import { configureBodySchema } from '../../spec/schema.ts';
import { route } from './route.ts';
import { computeStatus } from './fields.ts';

export const configure = route({
  method: 'POST',
  path: '/configure',
  auth: 'jwt',
  allowedIn: ['empty', 'running', 'failed'],
  checkedByApp: true,
  summary: 'Applies a new spec and answers when the compute runs with it.',
  differs:
    "also repairs a compute in `failed` whose Postgres is running. Answers 500 when PostgreSQL cannot use a setting, with the reason, and the earlier settings stay in force; `pending_restart` lists what takes effect at the next start of Postgres. An accepted body's keys replace the old ones. A waiting client gets 500 when the compute shuts down.",
  body: configureBodySchema,
  reply: computeStatus,
  errors: ['spec_shape', 'spec_invalid', 'wrong_status', 'not_allowed', 'internal', 'deadline'],
  limitMs: 3_600_000,
  goesOn: true,
  handler: ({ body, signal }, app) => app.configure(body, signal),
});
