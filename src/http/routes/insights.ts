import { route } from './route.ts';
import { text } from './fields.ts';

export const insights = route({
  method: 'GET',
  path: '/insights',
  auth: 'jwt',
  allowedIn: ['running'],
  summary: 'Shows the 100 statements that take longest on average, from `pg_stat_statements`.',
  differs:
    'the inner document is valid JSON also when there are no statistics, and 500 when Postgres cannot be reached. Only the view of the extension is read, never another relation of that name.',
  reply: text(
    'A JSON document as a string: `{"pg_stat_statements": […]}`, each element with all columns of the view. Empty where there are no statistics.',
  ),
  errors: ['sql', 'deadline'],
  limitMs: 60_000,
  handler: ({ signal }, { database }) => database.insights(signal),
});
