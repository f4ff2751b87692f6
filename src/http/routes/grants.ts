import * as v from 'valibot';
import { route } from './route.ts';
import { databaseName, text } from './fields.ts';

/** The privileges that Postgres has; on a schema, only USAGE and CREATE are possible. */
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
  schema: text('The schema in that database.'),
  privileges: v.array(privilege),
  role: text('The role that gets the privileges.'),
});

export const grants = route({
  method: 'POST',
  path: '/grants',
  auth: 'none',
  allowedIn: ['running'],
  summary: 'Grants privileges on a schema. On a replica, it succeeds only when the role already has them.',
  differs:
    "a failure contains Postgres's error message. Privileges that a role already has are not granted again, also for roles without login. The system database, template databases and the schemas `pg_*`, `information_schema` and `neon*` are 422. An event trigger never runs: where it cannot be switched off (before PostgreSQL 17, enabled as ALWAYS or REPLICA), the answer is 500.",
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
