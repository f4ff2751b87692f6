import { ComputeError } from '../core/errors.ts';
import type { PgTarget } from '../pg/target.ts';

/** Schemas of the server, and those that Neon keeps its own objects in. */
const reservedSchema = /^(?:pg_.*|information_schema|neon.*)$/s;
/** What is in them would be in every later database. */
const templates: readonly string[] = ['template0', 'template1'];

/** Nothing is granted or installed there on request.
 *  @throws ComputeError `spec_shape` with the path in the request */
export function refuseSystemDatabase(database: string, target: PgTarget): void {
  if (database === target.database) throw refused('database', `"${database}" is the system database`);
  if (templates.includes(database)) throw refused('database', `"${database}" is a template database`);
}

/** @param path the field of the request that leads to the schema
 *  @throws ComputeError `spec_shape` */
export function refuseSystemSchema(path: string, schema: string): void {
  if (reservedSchema.test(schema)) throw refused(path, `"${schema}" is a schema of the system`);
}

const refused = (path: string, why: string): ComputeError =>
  new ComputeError('spec_shape', `${path}: ${why}`, {
    hint: 'name a database and a schema that belong to users',
  });
