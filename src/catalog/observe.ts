import type { PgClient } from '../pg/client.ts';
import type { CatalogInput } from './input.ts';
import {
  available,
  bookkeeping,
  rawNames,
  statementsObstructed,
  wantedExtensions,
} from './observe-details.ts';
import { observeQuery } from './observe-query.ts';
import { type Row, database, extension, references, role, schema, subscribers } from './observe-rows.ts';
import type { Observed } from './observed.ts';
import { lakebaseRoles } from './phases/lakebase.ts';
import { storedPassword } from './password.ts';
import { readFailure } from './result.ts';

/** Reads the state that the plan depends on: one query, and a second one for bookkeeping tables or an extension's
 *  version, if required. Does not inspect the databases.
 *  @throws ComputeError `catalog` */
export async function observe(client: PgClient, input: CatalogInput): Promise<Observed> {
  try {
    return await read(client, input);
  } catch (error) {
    throw readFailure('observe', input.systemDatabase, error);
  }
}

async function read(client: PgClient, input: CatalogInput): Promise<Observed> {
  const audited = input.spec.audit_log_level !== 'Disabled';
  const values = [
    rolesOfInterest(input),
    input.privilegedRole,
    dropped(input),
    longestPassword(input),
    audited,
  ];
  const { rows } = await client.query<{ observed: Row }>({ text: observeQuery, values });
  const row = rows[0]?.observed;
  if (row === undefined) throw new Error('the query of the catalogs returned no row');
  const raw = await rawNames(
    client,
    (row.databases ?? []).map(([name, oid]) => ({ name, oid })),
  );
  const databases = new Map((row.databases ?? []).map((one) => [raw.get(one[1]) ?? one[0], database(one)]));
  const names = new Map([...databases].map(([name, { oid }]) => [oid, name]));
  const extensions = new Map((row.extensions ?? []).map((one) => [one[0], extension(one)]));
  const schemas = new Map((row.schemas ?? []).map((one) => [one[0], schema(one)]));
  const preloaded = row.preload.split(',').map((library) => library.trim().replaceAll('"', ''));
  const wanted = wantedExtensions(input, preloaded, extensions);
  return {
    at: row.at,
    version: row.version,
    superuser: row.superuser === true,
    firstSuperuser: row.firstSuperuser,
    searchPath: row.searchPath,
    preloaded,
    roles: new Map((row.roles ?? []).map((one) => [one[0], role(one)])),
    databases,
    references: references(row.references ?? [], names),
    subscribers: subscribers(row.subscribers ?? [], names),
    extensions,
    schemas,
    auditOfSystem: row.auditOfSystem,
    available: await available(client, wanted),
    statementsObstructed: await statementsObstructed(client, wanted),
    bookkeeping: await bookkeeping(client, input, schemas),
    states: new Map(),
  };
}

/** Longest stored password that the spec contains, in bytes, 512 or more. A longer one differs from the spec anyway. */
function longestPassword({ spec }: CatalogInput): number {
  const lengths = spec.cluster.roles.map(
    ({ encrypted_password: one }) => storedPassword(one)?.reveal().length ?? 0,
  );
  return lengths.reduce((longest, one) => Math.max(longest, one), 512);
}

/** Roles that the delta operations delete, also under their names before a rename. */
const dropped = ({ spec }: CatalogInput): string[] =>
  (spec.delta_operations ?? []).filter((op) => op.action.endsWith('_role')).map((op) => op.name);

function rolesOfInterest(input: CatalogInput): string[] {
  const { cluster, delta_operations: ops } = input.spec;
  return [
    ...new Set([
      input.privilegedRole,
      input.adminRole,
      'web_access',
      ...(input.lakebase ? Object.keys(lakebaseRoles) : []),
      ...cluster.roles.map(({ name }) => name),
      ...cluster.databases.map(({ owner }) => owner),
      ...(ops ?? []).flatMap(({ name, new_name }) => (new_name === null ? [name] : [name, new_name])),
    ]),
  ];
}
