import { linked } from '../core/abort.ts';
import { sleep } from '../core/clock.ts';
import { inline } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { until } from '../core/poll.ts';
import { literal, sql } from '../core/sql.ts';
import { type PgClient, destroyPg } from '../pg/client.ts';
import { type SessionOptions, openSession } from './session.ts';

/** Milliseconds of waiting before blockers are ended: for our own locks, which nobody else needs, and for rows of roles
 *  and databases, which a user may be changing. Less than the limit for a lock. */
const patienceMs = { own: 500, shared: 10_000 };
const everyMs = 200;

/** Sessions that block session `$1`. Those of superusers are ours or the operator's. */
const strangers = `
from pg_catalog.pg_stat_activity a join pg_catalog.pg_roles r on r.oid = a.usesysid
where not r.rolsuper and a.pid = any (pg_catalog.pg_blocking_pids($1::pg_catalog.int4))`;

/** Prepared transactions that block session `$1`. They and their locks survive restarts. */
const prepared = `
select distinct x.gid, x.owner as role
from pg_catalog.pg_locks w
join pg_catalog.pg_locks h on h.granted and h.pid is null and h.locktype = w.locktype
  and h.database is not distinct from w.database and h.relation is not distinct from w.relation
  and h.classid is not distinct from w.classid and h.objid is not distinct from w.objid
  and h.objsubid is not distinct from w.objsubid and h.page is not distinct from w.page
  and h.tuple is not distinct from w.tuple and h.transactionid is not distinct from w.transactionid
join pg_catalog.pg_locks t on t.granted and t.pid is null and t.locktype = 'transactionid'
  and t.virtualtransaction = h.virtualtransaction
join pg_catalog.pg_prepared_xacts x on x.transaction = t.transactionid and x.database = pg_catalog.current_database()
join pg_catalog.pg_roles r on r.rolname = x.owner
where not w.granted and w.pid = $1::pg_catalog.int4 and not r.rolsuper
  and 0 = any (pg_catalog.pg_blocking_pids($1::pg_catalog.int4))`;

export interface EvictOptions extends SessionOptions {
  readonly log: Log;
  readonly patience?: keyof typeof patienceMs;
}

/** Does work in the system database that may wait for our own locks (advisory locks and those on the bookkeeping) or for
 *  rows of roles and databases. Every user can take the first, members of `pg_write_all_data` the second, and keep them
 *  in a prepared transaction. So sessions and prepared transactions that block the work are ended, unless they are a
 *  superuser's. If that fails, the wait ends at its limit.
 *  @throws what `work` throws */
export async function endingStrangers<T>(
  client: PgClient,
  options: EvictOptions,
  work: () => Promise<T>,
): Promise<T> {
  const waiting = linked(options.signal);
  const sweeping = sweep(client, { ...options, signal: waiting.signal }).catch((error: unknown) => {
    if (!waiting.signal.aborted)
      options.log.warn(`cannot find out which session blocks compute_ctl: ${inline(error)}`);
  });
  try {
    return await work();
  } finally {
    waiting.abort();
    waiting.release();
    await sweeping;
  }
}

async function sweep(client: PgClient, options: EvictOptions): Promise<void> {
  const { processID } = client as unknown as { processID: number };
  await sleep(patienceMs[options.patience ?? 'own'], options.signal);
  const helper = await openSession(options);
  try {
    const values = [processID];
    const once = async (): Promise<false> => {
      const { rows: live } = await helper.query<{ role: string }>({
        text: `select a.usename as role ${strangers}`,
        values,
      });
      const { rows: left } = await helper.query<{ gid: string; role: string }>({ text: prepared, values });
      // Logged first, because this stops as soon as the wait is over.
      for (const { role } of [...live, ...left])
        options.log.warn({ role }, 'ending a transaction that blocks compute_ctl');
      if (live.length > 0)
        await helper.query({ text: `select pg_catalog.pg_terminate_backend(a.pid) ${strangers}`, values });
      for (const { gid } of left) await helper.query(sql`rollback prepared ${literal(gid)}`.reveal());
      return false;
    };
    await until('the end of the blocking transactions', once, { everyMs, limitMs: Infinity }, options.signal);
  } finally {
    destroyPg(helper);
  }
}
