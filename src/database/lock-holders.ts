import { ComputeError } from '../core/errors.ts';
import { type PgClient, sqlState } from '../pg/client.ts';

const lockNotAvailable = '55P03';

/** Sessions that hold a lock in the catalogs or on the table of the writability check: whoever has an open transaction
 *  that changed a schema, a table or an event trigger. Reading takes weaker locks. */
const holders = `
select s.pid, coalesce(s.usename::pg_catalog.text, '') as role
from pg_catalog.pg_stat_activity s
where s.pid <> pg_catalog.pg_backend_pid() and s.pid in (
  select l.pid from pg_catalog.pg_locks l
  where l.granted and l.locktype = 'relation'
    and l.database in (0, (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database()))
    and l.mode not in ('AccessShareLock', 'RowShareLock')
    and l.relation in (
      'pg_catalog.pg_namespace'::pg_catalog.regclass, 'pg_catalog.pg_class'::pg_catalog.regclass,
      'pg_catalog.pg_event_trigger'::pg_catalog.regclass, 'pg_catalog.pg_extension'::pg_catalog.regclass,
      pg_catalog.to_regclass('public.health_check')))
order by s.xact_start nulls last limit 5`;

/** Runs a transaction. When a lock is not to be had in time, the error names the sessions that hold such locks.
 *  @throws what `work` threw, with the transaction rolled back where the session still answers */
export async function inTransaction<T>(pg: PgClient, work: () => Promise<T>): Promise<T> {
  await pg.query('begin');
  try {
    const result = await work();
    await pg.query('commit');
    return result;
  } catch (error) {
    if (sqlState(error) !== lockNotAvailable) throw error;
    await pg.query('rollback');
    const { rows } = await pg.query<{ pid: number; role: string }>(holders);
    const named = rows.map(({ pid, role }) => `process ${pid} of role "${role}"`);
    const who = named.length === 0 ? 'a session that has ended since' : named.join(', ');
    throw new ComputeError('sql', `an object is locked by ${who}`, {
      hint: 'end the transaction of that session, or the session: pg_terminate_backend',
    });
  }
}
