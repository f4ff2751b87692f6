import type { Secret } from '../core/secret.ts';
import type { RoleAttributes } from './role-attributes.ts';

export interface ObservedRole {
  /** 0 for a role that exists only in the plan. */
  readonly oid: number;
  readonly attributes: RoleAttributes;
  /** Empty when it is longer than any that the spec could ask for. */
  readonly password: Secret | null;
}

export interface ObservedDatabase {
  /** 0 for a database that exists only in the plan. */
  readonly oid: number;
  readonly owner: string;
  readonly ownerIsSuperuser: boolean;
  readonly connectable: boolean;
  /** The rest of an interrupted `DROP DATABASE`; the server refuses connections to it and changes of it. */
  readonly invalid: boolean;
  readonly template: boolean;
  /** Its privileges are still the default: no GRANT or REVOKE on the database so far. */
  readonly untouchedAcl: boolean;
  /** Created by initdb. */
  readonly builtIn: boolean;
  readonly subscriptions: number;
  /** Default privileges inside, as the shared catalog shows them: 2 when those on tables and on sequences are both
   *  granted to the privileged role. */
  readonly defaultPrivileges: number;
  /** Our row in the shared catalog says that `public` does not belong to the superuser from initdb. */
  readonly publicMarked: boolean;
  /** Which of the superusers that must not own `public` own it, as the shared catalog shows. Never the one from initdb.
   *  Without our row, these may own any schemas inside. */
  readonly schemaOwners: readonly string[];
  /** `web_access` holds a privilege on some schema inside. */
  readonly webAccess: boolean;
}

export interface ObservedExtension {
  readonly version: string;
  readonly schema: string;
  readonly relocatable: boolean;
}

/** A bookkeeping schema. A user's table in it would run the user's triggers as superuser. */
export interface ObservedSchema {
  readonly name: string;
  readonly owner: string;
  /** Its owner and the owners of all bookkeeping tables in it are superusers. */
  readonly trusted: boolean;
  readonly tables: readonly string[];
}

/** State that can only be read inside a database; each member is true when a change is required. */
export interface DatabaseState {
  readonly owner: boolean;
  /** The row of `publicMarked` is missing. */
  readonly mark: boolean;
  readonly webAccess: boolean;
  readonly tables: boolean;
  readonly sequences: boolean;
}

/** The catalogs' content at one moment: the roles that the spec names, and all databases. */
export interface Observed {
  /** When, by the server's clock; RFC 3339. */
  readonly at: string;
  /** `server_version_num`, e.g. 150018. */
  readonly version: number;
  readonly superuser: boolean;
  /** The name of the one from initdb, who can never be dropped. */
  readonly firstSuperuser: string;
  readonly searchPath: string;
  readonly preloaded: readonly string[];
  readonly roles: ReadonlyMap<string, ObservedRole>;
  readonly databases: ReadonlyMap<string, ObservedDatabase>;
  /** For each role to be deleted: the databases whose objects or privileges refer to it; null means shared
   *  objects. */
  readonly references: ReadonlyMap<string, readonly (string | null)[]>;
  /** For each role to be deleted: the databases in which it owns subscriptions. */
  readonly subscribers: ReadonlyMap<string, readonly string[]>;
  /** In the system database. */
  readonly extensions: ReadonlyMap<string, ObservedExtension>;
  /** Default versions of extensions that could be installed; empty when the plan does not depend on it. */
  readonly available: ReadonlyMap<string, string>;
  /** Schema `public` of the system database is not there, or holds something under a name that `pg_stat_statements`
   *  gives to its own. False when the plan does not depend on it. */
  readonly statementsObstructed: boolean;
  readonly schemas: ReadonlyMap<string, ObservedSchema>;
  /** `ALTER DATABASE … SET pgaudit.log` of the system database. */
  readonly auditOfSystem: string | null;
  readonly bookkeeping: Bookkeeping;
  /** Databases that were inspected. */
  readonly states: ReadonlyMap<string, DatabaseState>;
}

export interface Bookkeeping {
  /** Neon timeline for which inherited subscriptions were last disabled and dropped. */
  readonly subscriptionsDroppedOn: string | null;
  /** OIDs of the databases whose inherited subscriptions are disabled, but could not be dropped so far. */
  readonly subscriptionsLeftIn: ReadonlySet<number>;
  /** Digest of the delta operations that were last applied. */
  readonly operationsDone: string | null;
  /** Places, from 0, of the spec's delta operations that were applied while others of them could not be. */
  readonly operationsDoneAlone: ReadonlySet<number>;
}

export const major = (observed: Observed): number => Math.floor(observed.version / 10_000);

/** Whether CREATEROLE is less than the operating system. On a stock PostgreSQL before 16 a role with it can make itself
 *  a member of `pg_execute_server_program`; Neon's build forbids that.
 *  @see https://www.postgresql.org/docs/16/release-16.html#RELEASE-16-MIGRATION */
export const createroleIsHarmless = (observed: Observed): boolean =>
  major(observed) >= 16 || observed.preloaded.includes('neon');
