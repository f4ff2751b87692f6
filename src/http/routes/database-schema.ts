import * as v from 'valibot';
import { Answer } from '../answer.ts';
import { route } from './route.ts';
import { databaseName, text } from './fields.ts';

export const databaseSchema = route({
  method: 'GET',
  path: '/database_schema',
  auth: 'jwt',
  summary:
    'Streams the schema of a database as SQL. The connection breaks off when `pg_dump` fails on the way, so that a cut-off dump never looks whole.',
  differs:
    'a dump that fails on the way breaks the connection off, 404 does not depend on the language of the server, and more than four dumps at a time are 429. The settings of our own sessions apply, and the password of `--connstr` is used.',
  query: v.object({ database: databaseName }),
  reply: text('SQL, in spite of the content type, which clients are used to.'),
  contentType: 'application/json',
  errors: ['not_found', 'busy', 'internal', 'deadline'],
  // Until the first bytes; the dump itself has a limit of its own.
  limitMs: 120_000,
  handler: async ({ query, signal }, { database }) =>
    new Answer(200, await database.schema(query.database, signal), { 'content-type': 'application/json' }),
});
