import { linked } from '../core/abort.ts';
import { sleep } from '../core/clock.ts';
import { inline } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { until } from '../core/poll.ts';
import { ident, literal, sql } from '../core/sql.ts';
import { type PgClient, destroyPg } from '../pg/client.ts';
import { type SessionOptions, openSession } from './session.ts';

/** Milliseconds of waiting before blockers are ended: for our own locks, which nobody else needs, and for rows of roles
 *  and databases, which a user may be changing. Less than the limit for a lock. */
const patienceMs = { own: 500, shared: 10_000 };
const everyMs = 200;

/** Sessions that block session `$1`; with `$2`, only while it waits for a catalog that all databases share. Those of
 *  superusers are ours or the operator's. */
const strangers = `
from pg_catalog.pg_stat_activity a join pg_catalog.pg_roles r on r.oid = a.usesysid
where not r.rolsuper and a.pid = any (pg_catalog.pg_blocking_pids($1::pg_catalog.int4)) and (not $2::pg_catalog.bool or exists (
  select from pg_catalog.pg_locks w
  where not w.granted and w.pid = $1::pg_catalog.int4 and w.locktype = 'relation' and w.database = 0))`;

/** Prepared transactions that block session `$1`, of every database. They and their locks survive restarts. */
const prepared = `
select distinct x.gid, x.owner as role, x.database, d.datallowconn as open, x.database = pg_catalog.current_database() as here
from pg_catalog.pg_locks w
join pg_catalog.pg_locks h on h.granted and h.pid is null and h.locktype = w.locktype
  and h.database is not distinct from w.database and h.relation is not distinct from w.relation
  and h.classid is not distinct from w.classid and h.objid is not distinct from w.objid
  and h.objsubid is not distinct from w.objsubid and h.page is not distinct from w.page
  and h.tuple is not distinct from w.tuple and h.transactionid is not distinct from w.transactionid
join pg_catalog.pg_locks t on t.granted and t.pid is null and t.locktype = 'transactionid'
  and t.virtualtransaction = h.virtualtransaction
join pg_catalog.pg_prepared_xacts x on x.transaction = t.transactionid
join pg_catalog.pg_database d on d.datname = x.database
join pg_catalog.pg_roles r on r.rolname = x.owner
where not w.granted and w.pid = $1::pg_catalog.int4 and not r.rolsuper
  and (not $2::pg_catalog.bool or w.locktype = 'relation' and w.database = 0)
  and 0 = any (pg_catalog.pg_blocking_pids($1::pg_catalog.int4))`;

export interface EvictOptions extends SessionOptions {
  readonly log: Log;
  readonly patience?: keyof typeof patienceMs;
  /** For work in a user's database: what it waits for there may be somebody's long query. Default: false */
  readonly sharedOnly?: boolean;
}

/** Does work, in the system database unless `sharedOnly`, that may wait for our own locks (advisory locks and those on the bookkeeping) or for
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
  const sweeping = sweep(client, { ...options, signal: waiting.signal }, options.signal).catch(
    (error: unknown) => {
      if (!waiting.signal.aborted)
        options.log.warn(`cannot find out which session blocks compute_ctl: ${inline(error)}`);
    },
  );
  try {
    return await work();
  } finally {
    waiting.abort();
    waiting.release();
    await sweeping;
  }
}

interface Prepared {
  readonly gid: string;
  readonly role: string;
  readonly database: string;
  /** Whether that database accepts connections. */
  readonly open: boolean;
  /** Whether it is the system database. */
  readonly here: boolean;
}

/** @param whole ends later than the wait: what was changed for the sweep must be changed back */
async function sweep(client: PgClient, options: EvictOptions, whole: AbortSignal): Promise<void> {
  const { processID } = client as unknown as { processID: number };
  await sleep(patienceMs[options.patience ?? 'own'], options.signal);
  const helper = await openSession(options);
  let running: Promise<unknown> = Promise.resolve();
  try {
    const once = (): Promise<false> => {
      const round = endBlockers(helper, processID, { ...options, signal: whole });
      running = round.catch(() => {});
      return round;
    };
    await until('the end of the blocking transactions', once, { everyMs, limitMs: Infinity }, options.signal);
  } finally {
    destroyPg(helper);
    // It may have to close a database again.
    await running;
  }
}

async function endBlockers(helper: PgClient, processID: number, options: EvictOptions): Promise<false> {
  const values = [processID, options.sharedOnly ?? false];
  const { rows: live } = await helper.query<{ role: string }>({
    text: `select a.usename as role ${strangers}`,
    values,
  });
  const { rows: left } = await helper.query<Prepared>({ text: prepared, values });
  // Logged first, because this stops as soon as the wait is over.
  for (const { role } of [...live, ...left])
    options.log.warn({ role }, 'ending a transaction that blocks compute_ctl');
  if (live.length > 0)
    await helper.query({ text: `select pg_catalog.pg_terminate_backend(a.pid) ${strangers}`, values });
  for (const one of left) {
    if (one.here) await helper.query(rollback(one).reveal());
    else await rollbackElsewhere(one, options);
  }
  return false;
}

const rollback = ({ gid }: Prepared) => sql`rollback prepared ${literal(gid)}`;

/** A prepared transaction can be ended only in its own database. Its owner may have closed that one since. */
async function rollbackElsewhere(one: Prepared, options: SessionOptions): Promise<void> {
  if (!one.open) await alterDatabase(one.database, true, options);
  try {
    const there = await openSession({ ...options, database: one.database });
    try {
      await there.query(rollback(one).reveal());
    } finally {
      destroyPg(there);
    }
  } finally {
    if (!one.open) await alterDatabase(one.database, false, options);
  }
}

async function alterDatabase(name: string, open: boolean, options: SessionOptions): Promise<void> {
  const client = await openSession(options);
  try {
    const allowed = open ? sql`true` : sql`false`;
    await client.query(sql`alter database ${ident(name)} allow_connections ${allowed}`.reveal());
  } finally {
    destroyPg(client);
  }
}
