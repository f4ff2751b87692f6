import { ComputeError } from '../core/errors.ts';
import { type PgClient, sqlState } from '../pg/client.ts';
import { type SessionShown, describeSession, listed, sessionColumns } from '../pg/session-name.ts';

const lockNotAvailable = '55P03';

/** Sessions that keep us waiting: they hold a lock in the catalogs or on the table of the writability check, have changed
 *  a schema or an extension, or have created a table that we do not see yet. Reading takes weaker locks.
 *  The list of locks of a running wait would be exact, but only another session could ask for it. */
const holders = `
select ${sessionColumns}
from pg_catalog.pg_stat_activity a
where a.pid <> pg_catalog.pg_backend_pid() and a.pid in (
  select l.pid from pg_catalog.pg_locks l
  where l.granted and (
    l.locktype = 'transactionid' and l.transactionid in (
      select n.xmax from pg_catalog.pg_namespace n union all select e.xmax from pg_catalog.pg_extension e)
    or l.locktype = 'relation' and l.mode not in ('AccessShareLock', 'RowShareLock')
    and l.database in (0, (
      select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database()))
    and (l.relation in (
        'pg_catalog.pg_namespace'::pg_catalog.regclass, 'pg_catalog.pg_class'::pg_catalog.regclass,
        'pg_catalog.pg_event_trigger'::pg_catalog.regclass, 'pg_catalog.pg_extension'::pg_catalog.regclass,
        pg_catalog.to_regclass('public.health_check'))
      or not exists (select 1 from pg_catalog.pg_class c where c.oid = l.relation))))
order by a.xact_start nulls last limit 5`;

/** Runs a transaction. When a lock cannot be obtained in time, the error names the sessions that hold such locks.
 *  @param end `rollback` for work that only reads: a commit may wait for the storage, even if all it has are row locks
 *  @throws what `work` threw, with the transaction rolled back where the session still answers */
export async function inTransaction<T>(
  pg: PgClient,
  work: () => Promise<T>,
  end: 'commit' | 'rollback' = 'commit',
): Promise<T> {
  await pg.query('begin');
  try {
    const result = await work();
    await pg.query(end);
    return result;
  } catch (error) {
    if (sqlState(error) !== lockNotAvailable) throw error;
    await pg.query('rollback');
    const { rows } = await pg.query<SessionShown>(holders);
    const who = rows.length === 0 ? 'a session that holds it no more' : listed(rows.map(describeSession));
    throw new ComputeError('sql', `an object is locked by ${who}`, {
      hint: 'end the transaction of that session, or the session: pg_terminate_backend',
    });
  }
}
