// Files in the directory of `--dir`.

/** What a user asks for; theirs. */
export const fileName = 'compute.json';
/** What the latest `apply` has accepted. */
export const acceptedName = 'desired.json';
/** The description of compute.json, for editors: beside it. */
export const schemaName = 'compute.schema.json';

/** The role and the database that are always there. */
export const appName = 'app';
