import { route } from './route.ts';
import { text } from './fields.ts';

export const insights = route({
  method: 'GET',
  path: '/insights',
  auth: 'jwt',
  allowedIn: ['running'],
  summary: 'Shows the 100 statements with the longest average time, from `pg_stat_statements`.',
  differs:
    "the inner document is valid JSON also without statistics; 500 when Postgres cannot be reached. Only the extension's own view is read, never another relation with that name. Texts of statements end after 65,536 characters.",
  reply: text(
    'A JSON document as a string: `{"pg_stat_statements": […]}`, each element with all columns of the view. The list is empty without statistics.',
  ),
  errors: ['sql', 'deadline'],
  limitMs: 60_000,
  handler: ({ signal }, { database }) => database.insights(signal),
});
