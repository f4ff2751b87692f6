import { parseValidUntil } from '../../catalog/role-attributes.ts';
import { withOwnPg } from '../../database/own-sql.ts';
import { sql, literal, join } from '../../core/sql.ts';
import type { PgTarget } from '../../pg/target.ts';
import type { Socket } from '../storage/tools.ts';
import { type Accepted, formerRoles, wantedExtensions } from './accepted.ts';

export interface ObservedRole {
  readonly createdb: boolean;
  readonly createrole: boolean;
  readonly bypassrls: boolean;
  readonly replication: boolean;
  readonly inherit: boolean;
  readonly connection_limit: number;
  /** As `parseValidUntil`. */
  readonly validUntil: number | 'infinity' | null;
  readonly verifier: string | null;
}

export interface ObservedSetting {
  /** In the unit; where our own session has another value, the built-in default. */
  readonly setting: string;
  readonly unit: string | null;
  /** A change takes effect at the next start only. */
  readonly atStart: boolean;
  readonly pendingRestart: boolean;
}

export interface ObservedLine {
  readonly value: string;
  /** It was set with ALTER SYSTEM. */
  readonly bySystem: boolean;
}

/** The state of a running Postgres, as far as it is wanted. */
export interface Observed {
  readonly major: number;
  readonly roles: ReadonlyMap<string, ObservedRole>;
  /** Owners, by database. */
  readonly databases: ReadonlyMap<string, string>;
  readonly settings: ReadonlyMap<string, ObservedSetting>;
  /** As they stand in the files that the server reads, of each name the line that counts. */
  readonly lines: ReadonlyMap<string, ObservedLine>;
  /** Newest version, by extension, of all that are installed on this machine. */
  readonly available: ReadonlyMap<string, string>;
  /** Versions by extension, for each database that exists and is to have one. */
  readonly extensions: ReadonlyMap<string, ReadonlyMap<string, string>>;
}

/** Milliseconds. Only superusers can make a reading of the catalogs wait. */
const statementMs = 5000;

const targetOf = ({ dir, port }: Socket): PgTarget => ({
  host: dir,
  port,
  user: 'cloud_admin',
  password: null,
  database: 'postgres',
  options: '',
});

interface Row {
  readonly major: number;
  readonly roles: Record<string, Omit<ObservedRole, 'validUntil'> & { until: string | null }> | null;
  readonly databases: Record<string, string> | null;
  readonly settings: Record<string, [string, string | null, string, boolean]>;
  readonly lines: Record<string, [string, boolean]> | null;
  readonly available: Record<string, string> | null;
}

const names = (list: readonly string[]) => sql`(${join([sql`''`, ...list.map(literal)])})`;

const query = (roles: readonly string[], databases: readonly string[], extensions: boolean): string =>
  sql`
select pg_catalog.current_setting('server_version_num')::pg_catalog.int4 / 10000 as major,
  (select pg_catalog.json_object_agg(r.rolname, pg_catalog.json_build_object(
      'createdb', r.rolcreatedb, 'createrole', r.rolcreaterole, 'bypassrls', r.rolbypassrls,
      'replication', r.rolreplication, 'inherit', r.rolinherit, 'connection_limit', r.rolconnlimit,
      'until', r.rolvaliduntil::pg_catalog.text, 'verifier', r.rolpassword))
    from pg_catalog.pg_authid r where r.rolname in ${names(roles)}) as roles,
  (select pg_catalog.json_object_agg(d.datname, pg_catalog.pg_get_userbyid(d.datdba))
    from pg_catalog.pg_database d where d.datname in ${names(databases)}) as databases,
  (select pg_catalog.json_object_agg(pg_catalog.lower(s.name),
      pg_catalog.json_build_array(
        case when s.source in ('default', 'configuration file', 'override', 'command line', 'environment variable')
          then s.setting else s.boot_val end, s.unit, s.context, s.pending_restart))
    from pg_catalog.pg_settings s) as settings,
  (select pg_catalog.json_object_agg(pg_catalog.lower(f.name), pg_catalog.json_build_array(f.setting,
      f.sourcefile like '%/postgresql.auto.conf') order by f.seqno)
    from pg_catalog.pg_file_settings f where f.name is not null) as lines,
  ${
    extensions
      ? sql`(select pg_catalog.json_object_agg(a.name, a.default_version) from pg_catalog.pg_available_extensions() a)`
      : sql`null::pg_catalog.json`
  } as available`.reveal();

const installed = sql`
select e.extname as name, pg_catalog.left(e.extversion, 100) as version from pg_catalog.pg_extension e`.reveal();

/** Reads what there is of everything that is wanted. It only reads, as the superuser of this machine's user.
 *  @throws ComputeError `sql` */
export async function observe(server: Socket, wanted: Accepted, signal: AbortSignal): Promise<Observed> {
  const session = { target: targetOf(server), name: 'compute-local', statementMs, readOnly: true };
  const roles = [...wanted.roles.map(({ name }) => name), ...formerRoles(wanted)];
  const databases = [...wanted.databases.map(({ name }) => name), ...wanted.formerDatabases];
  const places = wantedExtensions(wanted);
  const main = withOwnPg(session, signal, async (pg) => {
    const { rows } = await pg.query<Row>(query(roles, ['app', ...databases], places.length > 0));
    return rows[0] as Row;
  });
  const row = await main;
  const existing = new Map(Object.entries(row.databases ?? {}));
  const former = wanted.formerExtensions ?? [];
  const open = [...new Set([...places, ...former].map(({ database }) => database))].filter((name) =>
    existing.has(name),
  );
  const extensions = await Promise.all(
    open.map(async (database) => {
      const at = { ...session, target: { ...session.target, major: row.major }, database };
      const { rows } = await withOwnPg(at, signal, (pg) =>
        pg.query<{ name: string; version: string }>(installed),
      );
      return [database, new Map(rows.map(({ name, version }) => [name, version]))] as const;
    }),
  );
  return {
    major: row.major,
    roles: new Map(
      Object.entries(row.roles ?? {}).map(([name, { until, ...role }]) => [
        name,
        { ...role, validUntil: until === null ? null : parseValidUntil(until) },
      ]),
    ),
    databases: existing,
    settings: new Map(
      Object.entries(row.settings).map(([name, [setting, unit, context, pendingRestart]]) => [
        name,
        { setting, unit, atStart: context === 'postmaster', pendingRestart },
      ]),
    ),
    lines: new Map(
      Object.entries(row.lines ?? {}).map(([name, [value, bySystem]]) => [name, { value, bySystem }]),
    ),
    available: new Map(Object.entries(row.available ?? {})),
    extensions: new Map(extensions),
  };
}
