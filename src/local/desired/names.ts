import { randomUUID } from 'node:crypto';
import { basename, dirname, join } from 'node:path';

// Files in the directory of `--dir`.

/** What a user asks for; theirs. */
export const fileName = 'compute.json';
/** What becomes a compute.json; a user's own `compute.json.new` stays, and a second `config` does not get into the way. */
export const freshBeside = (path: string): string =>
  join(dirname(path), `.${basename(path)}.${randomUUID()}`);
/** The same where it was left behind by one that was killed. */
export const leftBeside = /^\.compute\.json\.[0-9a-f-]{36}$/;
/** What the latest `apply` has accepted. */
export const acceptedName = 'desired.json';
/** The description of compute.json, for editors: beside it. */
export const schemaName = 'compute.schema.json';

/** The role and the database that are always there. */
export const appName = 'app';
