import * as v from 'valibot';
import { json } from '../answer.ts';
import { route } from './route.ts';
import { textOrNull } from './fields.ts';

const mode = v.pipe(
  v.picklist(['fast', 'immediate']),
  v.description(
    '`fast`: the process exits 30 s after the stop, so that its status can be read. `immediate`: after 0.3 s.',
  ),
);

export const terminate = route({
  method: 'POST',
  path: '/terminate',
  auth: 'jwt',
  allowedIn: ['empty', 'running', 'failed', 'refresh_configuration_pending', 'terminated'],
  summary: 'Stops Postgres and answers when it has stopped.',
  differs:
    "also allowed in `failed` and `refresh_configuration_pending`, which otherwise could not be left; an empty compute exits. The query's errors are JSON.",
  query: v.object({ mode }),
  withoutQuery: { mode: 'fast' },
  reply: v.object({
    lsn: textOrNull('End of the WAL that is safe in the storage; null except for a primary.'),
  }),
  otherReplies: { 201: 'The compute had already terminated.' },
  errors: ['wrong_status', 'terminated', 'internal', 'deadline'],
  limitMs: 600_000,
  goesOn: true,
  handler: async ({ query, signal }, app) => {
    const { lsn, already } = await app.terminate(query.mode, signal);
    return json(already ? 201 : 200, { lsn });
  },
});
