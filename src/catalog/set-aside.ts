import type { Log } from '../core/log.ts';
import { checked, ident, integer, literal, sql } from '../core/sql.ts';
import type { PgClient } from '../pg/client.ts';
import { sendTransaction } from './send.ts';

/** The setting of a database that we have closed for a moment: whether it accepted connections, and its connection limit.
 *  It is set and removed in the transaction that changes these, so it is there exactly while they are changed, and goes
 *  along when the database is renamed. Only a superuser can set or remove it. A database that a user closed has none. */
export const markName = 'compute_ctl.reopen';
const setting = checked(markName, /^[a-z_.]+$/);

/** What a database accepts while it is set aside: nobody at all, or superusers, for a session of ours. */
export type Accepts = 'nobody' | 'superusers';

export interface Admission {
  readonly oid: number;
  readonly name: string;
  readonly open: boolean;
  readonly limit: number;
  /** Its value while the database is set aside. */
  readonly mark: string | null;
}

/** Of a row `d` of `pg_database`. */
export const admissionColumns = `d.oid::pg_catalog.int8::pg_catalog.float8 as oid, d.datname as name,
  d.datallowconn as open, d.datconnlimit as limit,
  (select pg_catalog.substr(s.setting, pg_catalog.length('${markName}=') + 1)
   from pg_catalog.pg_db_role_setting c, pg_catalog.unnest(c.setconfig) as s (setting)
   where c.setrole = 0 and c.setdatabase = d.oid and pg_catalog.starts_with(s.setting, '${markName}=') limit 1) as mark`;

const admission = `select ${admissionColumns} from pg_catalog.pg_database d where d.datname = $1::pg_catalog.name`;

/** Null when there is no such database. */
export async function admissionOf(client: PgClient, database: string): Promise<Admission | null> {
  const { rows } = await client.query<Admission>({ text: admission, values: [database] });
  return rows[0] ?? null;
}

/** Closes a database to others until `reopen`. @throws SendFailure */
export function setAside(
  client: PgClient,
  { name, open, limit, mark }: Omit<Admission, 'oid'>,
  accepts: Accepts,
  signal: AbortSignal,
): Promise<void> {
  const state =
    accepts === 'nobody' ? sql`allow_connections false` : sql`allow_connections true connection limit 0`;
  const before = mark ?? `${open ? 't' : 'f'},${limit}`;
  const statements = [
    sql`alter database ${ident(name)} with ${state}`,
    sql`alter database ${ident(name)} set ${setting} to ${literal(before)}`,
  ];
  return sendTransaction(client, statements, signal);
}

/** Without what an interrupted DROP DATABASE has left: it cannot be altered. */
const marked = `
select d.datname as name, pg_catalog.substr(s.setting, pg_catalog.length('${markName}=') + 1) as mark
from pg_catalog.pg_db_role_setting c join pg_catalog.pg_database d on d.oid = c.setdatabase,
  pg_catalog.unnest(c.setconfig) as s (setting)
where c.setrole = 0 and pg_catalog.starts_with(s.setting, '${markName}=') and d.datconnlimit <> -2
  and d.oid::pg_catalog.int8 = coalesce($1::pg_catalog.int8, d.oid::pg_catalog.int8)`;

/** Gives back what a database accepted before it was set aside; does nothing to one that was not.
 *  @param oid of the database; null for all: an earlier compute_ctl may have been killed before it could
 *  @returns the names of the databases that were   @throws SendFailure */
export async function reopen(client: PgClient, oid: number | null, signal: AbortSignal): Promise<string[]> {
  const { rows } = await client.query<{ name: string; mark: string }>({ text: marked, values: [oid] });
  for (const { name, mark } of rows) {
    const [, open, limit] = /^([tf]),(-?\d{1,9})$/.exec(mark) ?? [null, 't', '-1'];
    const state = sql`allow_connections ${open === 't' ? sql`true` : sql`false`} connection limit ${integer(Number(limit))}`;
    const forget = sql`alter database ${ident(name)} reset ${setting}`;
    await sendTransaction(client, [sql`alter database ${ident(name)} with ${state}`, forget], signal);
  }
  return rows.map(({ name }) => name);
}

/** Reopens what an earlier pass left closed, because it was killed. */
export async function reopenLeft(client: PgClient, log: Log, signal: AbortSignal): Promise<void> {
  for (const name of await reopen(client, null, signal))
    log.warn(
      { database: name },
      'an earlier compute_ctl left the database closed to connections; it is open again',
    );
}
