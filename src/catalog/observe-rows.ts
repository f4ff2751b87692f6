import { Secret } from '../core/secret.ts';
import type { ObservedDatabase, ObservedExtension, ObservedRole, ObservedSchema } from './observed.ts';
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

/** What `observeQuery` returns. */
export interface Row {
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

export function role(row: RoleRow): ObservedRole {
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

export function database(row: DatabaseRow): ObservedDatabase {
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

export const extension = ([, version, schema, relocatable]: [
  string,
  string,
  string,
  boolean,
]): ObservedExtension => ({
  version,
  schema,
  relocatable,
});

export const schema = ([name, owner, trusted, tables]: [
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

export function references(
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

export function subscribers(
  rows: readonly [string, number][],
  names: ReadonlyMap<number, string>,
): Map<string, string[]> {
  const found = [...references(rows, names)];
  return new Map(found.map(([role, places]) => [role, places.filter((place) => place !== null)]));
}
