import * as v from 'valibot';
import { route } from './route.ts';
import { text, textOrNull } from './fields.ts';

const flag = (doc: string) => v.pipe(v.boolean(), v.description(doc));
const options = v.pipe(v.null(), v.description('Always null.'));

export const dbsAndRoles = route({
  method: 'GET',
  path: '/dbs_and_roles',
  auth: 'jwt',
  summary: "Lists all databases and roles, with the roles' stored password hashes.",
  differs:
    'the list is always complete, and its order is fixed. More than 100,000 roles or databases are 500. A stored password of more than 512 bytes, which no PostgreSQL hash has, is shown as null.',
  reply: v.object({
    roles: v.array(
      v.object({
        name: text('Name of the role.'),
        encrypted_password: textOrNull(
          'The password hash that Postgres stores; null for a role without a password.',
        ),
        options,
      }),
    ),
    databases: v.array(
      v.object({
        name: text('Name of the database.'),
        owner: text('Name of its owner.'),
        options,
        restrict_conn: flag('The database does not accept connections.'),
        invalid: flag('The database is invalid: `DROP DATABASE` was interrupted.'),
      }),
    ),
  }),
  errors: ['sql', 'deadline'],
  limitMs: 60_000,
  handler: ({ signal }, { database }) => database.dbsAndRoles(signal),
});
