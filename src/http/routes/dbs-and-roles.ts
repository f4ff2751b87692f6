import * as v from 'valibot';
import { route } from './route.ts';
import { text, textOrNull } from './fields.ts';

const flag = (doc: string) => v.pipe(v.boolean(), v.description(doc));
const options = v.pipe(v.null(), v.description('Always null.'));

export const dbsAndRoles = route({
  method: 'GET',
  path: '/dbs_and_roles',
  auth: 'jwt',
  summary: 'Lists all databases and roles, with the stored hashes of their passwords.',
  differs: 'nothing is left out silently, and the order is fixed.',
  reply: v.object({
    roles: v.array(
      v.object({
        name: text('Name of the role.'),
        encrypted_password: textOrNull('The hash that Postgres keeps; null for a role without a password.'),
        options,
      }),
    ),
    databases: v.array(
      v.object({
        name: text('Name of the database.'),
        owner: text('Name of its owner.'),
        options,
        restrict_conn: flag('It takes no connections.'),
        invalid: flag('It was left half dropped.'),
      }),
    ),
  }),
  errors: ['sql', 'deadline'],
  limitMs: 60_000,
  handler: ({ signal }, { database }) => database.dbsAndRoles(signal),
});
