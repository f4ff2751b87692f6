import * as v from 'valibot';
import { Answer } from '../answer.ts';
import { route } from './route.ts';
import { databaseName, text } from './fields.ts';

export const databaseSchema = route({
  method: 'GET',
  path: '/database_schema',
  auth: 'jwt',
  summary:
    "Streams a database's schema as SQL. If `pg_dump` fails after its first bytes, the connection is closed without a proper end, so that an incomplete dump never looks complete.",
  differs:
    "if a dump fails after its first bytes, the connection is closed without a proper end; 404 does not depend on the server's language; four dumps run at a time, sixteen more wait, and beyond that the answer is 429; a client that takes nothing of its dump for a minute is cut off. The dump uses the settings of compute_ctl's own sessions and the password in `--connstr`.",
  query: v.object({ database: databaseName }),
  reply: text('SQL. The content type says otherwise, because clients expect that one.'),
  contentType: 'application/json',
  errors: ['not_found', 'busy', 'internal', 'deadline'],
  // Until the first bytes; the dump has a limit of its own.
  limitMs: 120_000,
  handler: async ({ query, signal }, { database }) =>
    new Answer(200, await database.schema(query.database, signal), { 'content-type': 'application/json' }),
});
