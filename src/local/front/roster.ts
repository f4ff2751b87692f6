import type { PgClient } from '../../pg/client.ts';
import { type Verifier, parseVerifier } from './scram.ts';

/** Who may log in to what: what is needed to check clients while Postgres is stopped. In memory only. */
export interface Roster {
  /** By role; those that cannot log in are left out. */
  readonly roles: ReadonlyMap<string, RosterRole>;
  /** That accept connections. */
  readonly databases: ReadonlySet<string>;
  /** Of the server. */
  readonly major: number;
}

export interface RosterRole {
  readonly verifier: Verifier;
  /** Milliseconds since 1970; null: for ever. */
  readonly validUntilMs: number | null;
}

const rolesQuery = `select rolname::pg_catalog.text as role, rolpassword as verifier,
  case when pg_catalog.isfinite(rolvaliduntil)
       then pg_catalog.date_part('epoch', rolvaliduntil)::pg_catalog.float8 operator(pg_catalog.*) 1000 end as until_ms
  from pg_catalog.pg_authid where rolcanlogin`;

const databasesQuery =
  'select datname::pg_catalog.text as name from pg_catalog.pg_database where datallowconn';

const majorQuery = `select pg_catalog.current_setting('server_version_num')::pg_catalog.int4 as version`;

/** Reads it as the superuser. */
export async function readRoster(pg: PgClient): Promise<Roster> {
  const roles = await pg.query<{ role: string; verifier: string | null; until_ms: number | null }>(
    rolesQuery,
  );
  const databases = await pg.query<{ name: string }>(databasesQuery);
  const { rows } = await pg.query<{ version: number }>(majorQuery);
  return {
    roles: new Map(
      roles.rows.flatMap(({ role, verifier: text, until_ms: validUntilMs }) => {
        const verifier = parseVerifier(text);
        return verifier === null ? [] : [[role, { verifier, validUntilMs }] as const];
      }),
    ),
    databases: new Set(databases.rows.map(({ name }) => name)),
    major: Math.floor((rows[0]?.version ?? 0) / 10_000),
  };
}

/** What a role's password is checked against; null when nobody can log in with it now. */
export function verifierOf({ roles }: Roster, role: string, nowMs: number): Verifier | null {
  const found = roles.get(role);
  if (found === undefined || (found.validUntilMs !== null && found.validUntilMs <= nowMs)) return null;
  return found.verifier;
}
