import { explained } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { sqlState } from '../pg/client.ts';
import { isKnown } from './crash.ts';
import type { PassSessions } from './pass-sessions.ts';

/** Sessions that wait for a lock while they start. Until they have started they obey no time limit and do not notice that
 *  their client is gone; before PostgreSQL 18 no view but pg_locks shows them. */
const starting = `
select pg_catalog.pg_terminate_backend(w.pid)
from (
  select distinct l.pid
  from pg_catalog.pg_locks l join pg_catalog.pg_database d on d.oid = l.database
  where not l.granted and d.datname = any ($1::pg_catalog.name[])) w
where not exists (
  select from pg_catalog.pg_stat_activity a where a.pid = w.pid and a.state is distinct from 'starting')`;

/** Ends what is left of our attempts to connect to databases that let nobody in, because somebody holds a lock on what
 *  every session needs: one for each retry would use up the server's connections. Never rejects. */
export async function endStarting(
  sessions: PassSessions,
  failed: ReadonlyMap<string, Error>,
  log: Log,
): Promise<void> {
  const silent = [...failed].filter(([, error]) => sqlState(error) === null && !isKnown(error));
  if (silent.length === 0) return;
  try {
    await (await sessions.main()).query({ text: starting, values: [silent.map(([name]) => name)] });
  } catch (error) {
    log.warn(`cannot end sessions that wait for a lock while they start: ${explained(error)}`);
  }
}
