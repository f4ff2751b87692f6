import { route } from '../route.ts';
import { text } from './fields.ts';

export const insights = route({
  method: 'GET',
  path: '/insights',
  auth: 'jwt',
  allowedIn: ['running'],
  summary: 'Shows the 100 statements that take longest on average, from `pg_stat_statements`.',
  reply: text(
    'A JSON document as a string: `{"pg_stat_statements": […]}`, each element with all columns of the view. Empty where there are no statistics.',
  ),
  errors: ['sql', 'deadline'],
  limitMs: 60_000,
  handler: ({ signal }, { database }) => database.insights(signal),
});
