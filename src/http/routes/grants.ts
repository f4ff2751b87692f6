import * as v from 'valibot';
import { route } from './route.ts';
import { databaseName, text } from './fields.ts';

/** Those that Postgres knows; on a schema it takes only USAGE and CREATE. */
const privilege = v.picklist([
  'SELECT',
  'INSERT',
  'UPDATE',
  'DELETE',
  'TRUNCATE',
  'REFERENCES',
  'TRIGGER',
  'USAGE',
  'CREATE',
  'CONNECT',
  'TEMPORARY',
  'EXECUTE',
]);

const grant = v.object({
  database: databaseName,
  schema: text('The schema in it.'),
  privileges: v.array(privilege),
  role: text('Who gets them.'),
});

export const grants = route({
  method: 'POST',
  path: '/grants',
  auth: 'none',
  allowedIn: ['running'],
  summary: 'Grants privileges on a schema; on a replica it works where nothing is left to grant.',
  differs: 'a failure carries the words of Postgres. Roles without a login are granted nothing twice.',
  body: grant,
  success: 201,
  reply: grant,
  errors: ['bad_request', 'wrong_status', 'sql', 'deadline'],
  limitMs: 90_000,
  handler: async ({ body, signal }, { database }) => {
    await database.grant(body, signal);
    return body;
  },
});
