import type { PgClient } from '../../pg/client.ts';
import { nonceIn } from './mock-nonce.ts';
import { type Verifier, parseVerifier } from './scram.ts';

/** Who may log in to what: what is needed to check clients while Postgres is stopped. In memory only. */
export interface Roster {
  readonly roles: ReadonlyMap<string, RosterRole>;
  readonly databases: ReadonlyMap<string, RosterDatabase>;
  /** What this cluster makes the salts of unknown roles from; null where it could not be read. */
  readonly nonce: Buffer | null;
  /** Of the server. */
  readonly major: number;
}

export interface RosterRole {
  /** Null for a role without a password of SCRAM-SHA-256. */
  readonly verifier: Verifier | null;
  /** Milliseconds since 1970; null: for ever. */
  readonly validUntilMs: number | null;
  readonly canLogin: boolean;
  readonly isSuperuser: boolean;
  readonly canReplicate: boolean;
  /** CONNECTION LIMIT 0. */
  readonly isClosed: boolean;
}

export interface RosterDatabase {
  readonly allows: boolean;
  /** CONNECTION LIMIT 0. */
  readonly isClosed: boolean;
  /** What remains of a DROP DATABASE that was cut off. */
  readonly isInvalid: boolean;
  /** Roles with CONNECT; null: all. */
  readonly grantees: ReadonlySet<string> | null;
}

const rolesQuery = `select rolname::pg_catalog.text as role, rolpassword as verifier, rolcanlogin as "canLogin",
  rolsuper as "isSuperuser", rolreplication as "canReplicate", rolconnlimit operator(pg_catalog.=) 0 as "isClosed",
  case when rolvaliduntil operator(pg_catalog.=) '-infinity' then 0
       when pg_catalog.isfinite(rolvaliduntil)
       then pg_catalog.date_part('epoch', rolvaliduntil)::pg_catalog.float8 operator(pg_catalog.*) 1000 end as "validUntilMs"
  from pg_catalog.pg_authid`;

/** Only where not everybody may connect, each role is asked for. */
const databasesQuery = `select d.datname::pg_catalog.text as name, d.datallowconn as allows,
  d.datconnlimit operator(pg_catalog.=) 0 as "isClosed", d.datconnlimit operator(pg_catalog.=) -2 as "isInvalid",
  case when pg_catalog.has_database_privilege('public', d.oid, 'CONNECT') then null
       else array(select r.rolname::pg_catalog.text from pg_catalog.pg_authid r
         where pg_catalog.has_database_privilege(r.oid, d.oid, 'CONNECT')) end as grantees
  from pg_catalog.pg_database d`;

const serverQuery = `select pg_catalog.current_setting('server_version_num')::pg_catalog.int4 as version,
  pg_catalog.encode(pg_catalog.pg_read_binary_file('global/pg_control', 0, 512), 'hex') as control`;

type RoleRow = Omit<RosterRole, 'verifier'> & { readonly role: string; readonly verifier: string | null };
type DatabaseRow = Omit<RosterDatabase, 'grantees'> & {
  readonly name: string;
  readonly grantees: string[] | null;
};

/** Reads it as the superuser. */
export async function readRoster(pg: PgClient): Promise<Roster> {
  const roles = await pg.query<RoleRow>(rolesQuery);
  const databases = await pg.query<DatabaseRow>(databasesQuery);
  const { rows } = await pg.query<{ version: number; control: string }>(serverQuery);
  const { version = 0, control = '' } = rows[0] ?? {};
  const major = Math.floor(version / 10_000);
  return {
    roles: new Map(
      roles.rows.map(({ role, verifier, ...rest }) => [role, { ...rest, verifier: parseVerifier(verifier) }]),
    ),
    databases: new Map(
      databases.rows.map(({ name, grantees, ...rest }) => [
        name,
        { ...rest, grantees: grantees === null ? null : new Set(grantees) },
      ]),
    ),
    nonce: nonceIn(Buffer.from(control, 'hex'), major),
    major,
  };
}

/** What a role's password is checked against; null when no password fits now. */
export function verifierOf({ roles }: Roster, role: string, nowMs: number): Verifier | null {
  const found = roles.get(role);
  if (found === undefined || (found.validUntilMs !== null && found.validUntilMs < nowMs)) return null;
  return found.verifier;
}

/** What the decoder makes of bytes that are not UTF-8. */
const unreadable = '\uFFFD';

/** Whether a name that is not among `known` is nobody's: in some databases names are in another encoding. */
export const isUnknown = (name: string, known: ReadonlyMap<string, unknown>): boolean =>
  !known.has(name) &&
  !(name.includes(unreadable) && [...known.keys()].some((each) => each.includes(unreadable)));
