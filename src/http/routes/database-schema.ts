import * as v from 'valibot';
import { Answer } from '../answer.ts';
import { route } from '../route.ts';
import { databaseName, text } from './fields.ts';

export const databaseSchema = route({
  method: 'GET',
  path: '/database_schema',
  auth: 'jwt',
  summary:
    'Streams the schema of a database as SQL. The connection breaks off when `pg_dump` fails on the way, so that a cut-off dump never looks whole.',
  query: v.object({ database: databaseName }),
  reply: text('SQL, in spite of the content type, which clients are used to.'),
  contentType: 'application/json',
  errors: ['not_found', 'busy', 'internal', 'deadline'],
  // Until the first bytes; the dump itself has a limit of its own.
  limitMs: 120_000,
  handler: async ({ query, signal }, { database }) =>
    new Answer(200, await database.schema(query.database, signal), { 'content-type': 'application/json' }),
});
