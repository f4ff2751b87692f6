import { schemaName } from './names.ts';

/** What `init` writes: a file that asks for nothing, with an example of each part as a comment. */
export const template = `// What this compute is to have. Show what would change: compute-local plan. Change it: compute-local apply.
// Comments and a comma after the last member are allowed.
{
  "$schema": "./${schemaName}",

  // The role and the database "app" are always there: compute-local url prints their URL.
  // Each role gets a password of its own: compute-local url --role NAME prints it.
  "roles": [
    // { "name": "web" },
    // { "name": "report", "connection_limit": 5, "createdb": false },
  ],

  "databases": [
    // { "name": "shop", "owner": "web" },
    // { "name": "archive", "owner": "report", "locale": "C.UTF-8" },
  ],

  // They must be installed on this machine: vector is in Debian's package postgresql-16-pgvector (with your major version).
  // Without "databases", an extension is created in every database of this file, and in "app".
  "extensions": [
    // "vector",
    // { "name": "pg_trgm", "databases": ["shop"] },
  ],

  // Settings of PostgreSQL, with units as text. What is not here has its default.
  "settings": {
    // "work_mem": "64MB",
    // "log_min_duration_statement": "250ms",
  },
}
`;
