import { inline } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { type PgClient, sqlFailure, sqlState } from '../pg/client.ts';
import type { PgTarget } from '../pg/target.ts';
import { withOwnPg } from './own-sql.ts';

const statementMs = 30_000;
/** The library is not preloaded, or the extension is too old and has other columns. */
const noStatistics: readonly (string | null)[] = ['55000', '42703'];

/** A relation of that name counts only when it belongs to the extension: a user with CREATE on `public` could create a
 *  view with that name, whose functions we would run as superuser. */
const ofExtension = `
select 1 from pg_catalog.pg_extension e
join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
  and d.refobjid = e.oid and d.deptype = 'e'
join pg_catalog.pg_class c on d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid
where e.extname = 'pg_stat_statements' and c.relname = 'pg_stat_statements'
  and c.relnamespace = 'public'::pg_catalog.regnamespace`;

const top = `
select pg_catalog.to_json(s)::pg_catalog.text as row from public.pg_stat_statements s
where s.userid is distinct from (select r.oid from pg_catalog.pg_authid r where r.rolname = current_user)
order by s.mean_exec_time + s.mean_plan_time desc
limit 100`;

/** The 100 statements with the longest average time, without our own, as the text of a JSON document
 *  `{"pg_stat_statements": […]}`; an empty list without statistics.
 *  @throws ComputeError `sql` */
export async function collectInsights(target: PgTarget, log: Log, signal: AbortSignal): Promise<string> {
  const session = { target, name: 'collect_insights', statementMs, readOnly: true };
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
    const { rowCount } = await pg.query(ofExtension);
    // As text, so that numbers beyond 2^53 arrive as they are.
    return rowCount === 0 ? [] : (await pg.query<{ row: string }>(top)).rows;
  } catch (error) {
    if (!noStatistics.includes(sqlState(error))) throw error;
    log.warn(`there are no statement statistics: ${inline(error)}`);
    return [];
  }
}
