import * as v from 'valibot';
import { route } from './route.ts';
import { databaseName, text } from './fields.ts';

const extension = text('Name of the extension.');
const version = text('The version to install; in the answer: the installed version.');

export const extensions = route({
  method: 'POST',
  path: '/extensions',
  auth: 'none',
  allowedIn: ['running'],
  summary: 'Installs an extension in a database, or updates it to a version.',
  differs:
    "a failure contains Postgres's error message. The system database and template databases are 422, and so is an update of an extension in a schema `pg_*`, `information_schema` or `neon*`. Event triggers are treated as by `/grants`.",
  body: v.object({ extension, database: databaseName, version }),
  success: 201,
  reply: v.object({ extension, version }),
  errors: ['bad_request', 'wrong_status', 'sql', 'download', 'archive_invalid', 'spec_invalid', 'deadline'],
  limitMs: 330_000,
  handler: async ({ body, signal }, app) => {
    await app.installExtension(body, signal);
    return { extension: body.extension, version: body.version };
  },
});
