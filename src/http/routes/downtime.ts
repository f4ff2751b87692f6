import * as v from 'valibot';
import { downReasons } from '../../monitor/failure.ts';
import { route } from './route.ts';
import { count, text, textOrNull } from './fields.ts';

const reason = (doc: string) => v.pipe(v.picklist(downReasons), v.description(doc));

export const downtime = route({
  method: 'GET',
  path: '/downtime',
  auth: 'jwt',
  summary: 'Lists the downtimes of Postgres since it first ran: when, how long and why.',
  reply: v.object({
    current_downtime_ms: count("The current downtime's duration; 0 while Postgres answers."),
    total_downtime_ms: count('All downtimes together, including the current one.'),
    incidents: v.pipe(
      v.array(
        v.object({
          started_at: text('When the last successful check was; UTC.'),
          ended_at: textOrNull('When the next successful check was; null while the downtime lasts.'),
          duration_ms: count('From `started_at` to `ended_at`, by the monotonic clock.'),
          reason: reason('Why the first check failed.'),
          sqlstate: textOrNull("The server's error code; null without an answer from the server."),
          message: text('The error message.'),
          last_reason: reason('Why the latest check failed.'),
          failed_checks: count('How many checks failed.'),
        }),
      ),
      v.description('The last hundred downtimes, the latest first.'),
    ),
  }),
  errors: [],
  handler: (_, app) => app.downtime(),
});
