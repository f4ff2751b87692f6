import { Secret } from '../core/secret.ts';
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
import type {
  Observed,
  ObservedDatabase,
  ObservedExtension,
  ObservedRole,
  ObservedSchema,
} from './observed.ts';
import { storedPassword } from './password.ts';
import { readFailure } from './result.ts';
import { parseValidUntil } from './role-attributes.ts';

type RoleRow = [
  string,
  number,
  boolean,
  boolean,
  boolean,
  boolean,
  boolean,
  boolean,
  boolean,
  number,
  string | null,
  string | null,
];
type DatabaseRow = [
  string,
  number,
  string | null,
  boolean,
  boolean,
  boolean,
  boolean,
  boolean,
  boolean,
  number,
  number,
  boolean,
  boolean,
  string[] | null,
];

interface Row {
  readonly at: string;
  readonly version: number;
  readonly searchPath: string;
  readonly preload: string;
  readonly superuser: boolean | null;
  readonly firstSuperuser: string;
  readonly roles: readonly RoleRow[] | null;
  readonly databases: readonly DatabaseRow[] | null;
  readonly references: readonly [string, number][] | null;
  readonly subscribers: readonly [string, number][] | null;
  readonly extensions: readonly [string, string, string, boolean][] | null;
  readonly schemas: readonly [string, string, boolean, string[] | null][] | null;
  readonly auditOfSystem: string | null;
}

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
      ...cluster.roles.map(({ name }) => name),
      ...cluster.databases.map(({ owner }) => owner),
      ...(ops ?? []).flatMap(({ name, new_name }) => (new_name === null ? [name] : [name, new_name])),
    ]),
  ];
}

function role(row: RoleRow): ObservedRole {
  const [
    ,
    oid,
    superuser,
    inherit,
    createrole,
    createdb,
    login,
    replication,
    bypassrls,
    connectionLimit,
    until,
    password,
  ] = row;
  // Only used in comparisons: a time that cannot be parsed differs from every time that a spec can contain.
  const validUntil = until === null ? null : parseValidUntil(until);
  return {
    oid,
    attributes: {
      superuser,
      inherit,
      createrole,
      createdb,
      login,
      replication,
      bypassrls,
      connectionLimit,
      validUntil,
    },
    password: password === null ? null : new Secret(password),
  };
}

function database(row: DatabaseRow): ObservedDatabase {
  const [
    ,
    oid,
    owner,
    ownerIsSuperuser,
    connectable,
    invalid,
    template,
    untouchedAcl,
    builtIn,
    subscriptions,
    defaultPrivileges,
    webAccess,
    publicMarked,
    schemaOwners,
  ] = row;
  return {
    oid,
    owner: owner ?? '',
    ownerIsSuperuser,
    connectable,
    invalid,
    template,
    untouchedAcl,
    builtIn,
    subscriptions,
    defaultPrivileges,
    publicMarked,
    schemaOwners: schemaOwners ?? [],
    webAccess,
  };
}

const extension = ([, version, schema, relocatable]: [
  string,
  string,
  string,
  boolean,
]): ObservedExtension => ({
  version,
  schema,
  relocatable,
});

const schema = ([name, owner, trusted, tables]: [
  string,
  string,
  boolean,
  string[] | null,
]): ObservedSchema => ({
  name,
  owner,
  trusted,
  tables: tables ?? [],
});

function references(
  rows: readonly [string, number][],
  names: ReadonlyMap<number, string>,
): Map<string, (string | null)[]> {
  const found = new Map<string, (string | null)[]>();
  for (const [role, oid] of rows) {
    const at = oid === 0 ? null : names.get(oid);
    if (at !== undefined) found.set(role, [...(found.get(role) ?? []), at]);
  }
  return found;
}

function subscribers(
  rows: readonly [string, number][],
  names: ReadonlyMap<number, string>,
): Map<string, string[]> {
  const found = [...references(rows, names)];
  return new Map(found.map(([role, places]) => [role, places.filter((place) => place !== null)]));
}
