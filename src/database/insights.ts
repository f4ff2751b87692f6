import { explained } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { type Sql, ident, integer, join, sql } from '../core/sql.ts';
import { type PgClient, sqlFailure, sqlState } from '../pg/client.ts';
import type { PgTarget } from '../pg/target.ts';
import { inTransaction } from './lock-holders.ts';
import { withOwnPg } from './own-sql.ts';

const statementMs = 30_000;
/** Milliseconds to wait for a lock that a user holds. */
const lockMs = 2000;
/** The library is not preloaded, or the extension is too old and has other columns. */
const noStatistics: readonly (string | null)[] = ['55000', '42703'];
/** A text that is not of the encoding of the system database: one of a database with SQL_ASCII may hold any bytes. The server
 *  then refuses to show any text. */
const unreadable: readonly (string | null)[] = ['22021', '22P05'];
/** Longer texts are cut: a user's statement may have hundreds of megabytes. */
export const maxQueryCharacters = 65_536;

/** A relation of that name counts only when it belongs to the extension: a user with CREATE on `public` could create a
 *  view with that name, whose functions we would run as superuser. So could the owner of the extension. */
const columnsOfExtension = `
select a.attname as name
from pg_catalog.pg_extension e
join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
  and d.refobjid = e.oid and d.deptype = 'e'
join pg_catalog.pg_class c on d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid
join pg_catalog.pg_authid o on o.oid = e.extowner and o.rolsuper
join pg_catalog.pg_authid v on v.oid = c.relowner and v.rolsuper
join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where e.extname = 'pg_stat_statements' and c.relname = 'pg_stat_statements'
  and c.relnamespace = pg_catalog.to_regnamespace('public')
order by a.attnum`;

const inRecovery = 'select pg_catalog.pg_is_in_recovery() as there';
const holdSchema = "select 1 from pg_catalog.pg_namespace where nspname = 'public' for share";

/** The 100 statements with the longest average time, without our own, as the text of a JSON document
 *  `{"pg_stat_statements": […]}`; an empty list without statistics.
 *  @throws ComputeError `sql` */
export async function collectInsights(target: PgTarget, log: Log, signal: AbortSignal): Promise<string> {
  const session = { target, name: 'collect_insights', statementMs, lockMs };
  try {
    const rows = await withOwnPg(session, signal, (pg) => statistics(pg, log));
    return `{"pg_stat_statements": [${rows.map(({ row }) => row).join(',')}]}`;
  } catch (error) {
    signal.throwIfAborted();
    throw sqlFailure('reading the statement statistics', error);
  }
}

async function statistics(pg: PgClient, log: Log): Promise<{ row: string }[]> {
  try {
    return await inTransaction(pg, () => read(pg), 'rollback');
  } catch (error) {
    if (unreadable.includes(sqlState(error))) {
      await pg.query('rollback');
      log.warn(`the statement statistics are shown without the texts: ${explained(error)}`);
      return inTransaction(pg, () => read(pg, false), 'rollback');
    }
    if (!noStatistics.includes(sqlState(error))) throw error;
    log.warn(`there are no statement statistics: ${explained(error)}`);
    return [];
  }
}

async function read(pg: PgClient, texts = true): Promise<{ row: string }[]> {
  // Most often there are no statistics, and then nothing is locked.
  if ((await columns(pg)).length === 0) return [];
  // The name keeps its meaning from the check to the reading. A replica cannot lock a row.
  const { rows } = await pg.query<{ there: boolean }>(inRecovery);
  if (rows[0]?.there === false) await pg.query(holdSchema);
  await pg.query('lock table public.pg_stat_statements in access share mode');
  const names = await columns(pg);
  // As text, so that numbers beyond 2^53 arrive as they are.
  return names.length === 0 ? [] : (await pg.query<{ row: string }>(top(names, texts).reveal())).rows;
}

async function columns(pg: PgClient): Promise<string[]> {
  const { rows } = await pg.query<{ name: string }>(columnsOfExtension);
  return rows.map(({ name }) => name);
}

/** The hundred are chosen before their texts are looked at. */
function top(names: readonly string[], texts: boolean): Sql {
  const text = texts ? sql`pg_catalog.left(s.query, ${limit})` : sql`'<text that is not UTF-8 in the list>'`;
  const cut = (name: string): Sql => (name === 'query' ? sql`${text} as query` : sql`s.${ident(name)}`);
  const source = texts ? sql`public.pg_stat_statements` : sql`public.pg_stat_statements(false)`;
  return sql`
    select pg_catalog.to_json(t)::pg_catalog.text as row from (
      select ${join(names.map(cut))} from ${source} s
      where s.userid is distinct from (
        select r.oid from pg_catalog.pg_authid r where r.rolname = current_user)
      order by s.mean_exec_time + s.mean_plan_time desc
      limit 100) t`;
}

const limit = integer(maxQueryCharacters);
