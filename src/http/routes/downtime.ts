import * as v from 'valibot';
import { downReasons } from '../../monitor/failure.ts';
import { route } from './route.ts';
import { count, text, textOrNull } from './fields.ts';

const reason = (doc: string) => v.pipe(v.picklist(downReasons), v.description(doc));

export const downtime = route({
  method: 'GET',
  path: '/downtime',
  auth: 'jwt',
  summary: 'Tells when, for how long and why Postgres did not answer since it first ran.',
  reply: v.object({
    current_downtime_ms: count('How long Postgres has not been answering; 0 while it answers.'),
    total_downtime_ms: count('All downtimes together, the one that lasts included.'),
    incidents: v.pipe(
      v.array(
        v.object({
          started_at: text('When Postgres was last seen up; UTC.'),
          ended_at: textOrNull('When it was seen up again; null while the downtime lasts.'),
          duration_ms: count('From one to the other, by a clock that is never set.'),
          reason: reason('Why the first check failed.'),
          sqlstate: textOrNull('What the server said, when it said something.'),
          message: text('The error in words.'),
          last_reason: reason('Why the latest check failed.'),
          failed_checks: count('How many checks failed.'),
        }),
      ),
      v.description('The last hundred, the latest first.'),
    ),
  }),
  errors: [],
  handler: (_, app) => app.downtime(),
});
