import { linked } from '../core/abort.ts';
import { elapsedMs, monotonicMs, sleep } from '../core/clock.ts';
import { ComputeError, explained } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { until } from '../core/poll.ts';
import { literal, sql } from '../core/sql.ts';
import { type PgClient, destroyPg, sqlState } from '../pg/client.ts';
import { type SessionShown, describeSession, listed, sessionColumns } from '../pg/session-name.ts';
import { SendFailure } from './send.ts';
import { type SessionOptions, openSession } from './session.ts';
import { admissionOf, reopen, setAside } from './set-aside.ts';

/** Milliseconds of waiting before blockers are ended: for our own tables, which nobody else needs, and for rows of roles
 *  and databases, which a user may be changing. Less than the limit for a lock. */
const patienceMs = { own: 500, shared: 10_000 };
/** Milliseconds of waiting before it is found out who blocks. */
const lookMs = 2000;
const everyMs = 200;

/** Session `$1` waits for a catalog that all databases share. */
const waitsForShared = `exists (
  select from pg_catalog.pg_locks w
  where not w.granted and w.pid = $1::pg_catalog.int4 and w.locktype = 'relation' and w.database = 0)`;

/** Sessions that block session `$1`, and whether they may be ended: those of superusers are ours or the operator's. With
 *  `$2` only while it waits for a shared catalog. */
const mayEnd = `coalesce(not r.rolsuper, false) and (not $2::pg_catalog.bool or ${waitsForShared})`;
const blocking = `
from pg_catalog.pg_stat_activity a left join pg_catalog.pg_roles r on r.oid = a.usesysid
where a.pid = any (pg_catalog.pg_blocking_pids($1::pg_catalog.int4))`;

/** Prepared transactions that block session `$1`, of every database. They and their locks survive restarts. */
const prepared = `
select distinct x.gid, x.owner as role, x.database,
  x.database = pg_catalog.current_database() as here,
  not r.rolsuper and (not $2::pg_catalog.bool or w.locktype = 'relation' and w.database = 0) as stranger
from pg_catalog.pg_locks w
join pg_catalog.pg_locks h on h.granted and h.pid is null and h.locktype = w.locktype
  and h.database is not distinct from w.database and h.relation is not distinct from w.relation
  and h.classid is not distinct from w.classid and h.objid is not distinct from w.objid
  and h.objsubid is not distinct from w.objsubid and h.page is not distinct from w.page
  and h.tuple is not distinct from w.tuple and h.transactionid is not distinct from w.transactionid
join pg_catalog.pg_locks t on t.granted and t.pid is null and t.locktype = 'transactionid'
  and t.virtualtransaction = h.virtualtransaction
join pg_catalog.pg_prepared_xacts x on x.transaction = t.transactionid
join pg_catalog.pg_roles r on r.rolname = x.owner
where not w.granted and w.pid = $1::pg_catalog.int4
  and 0 = any (pg_catalog.pg_blocking_pids($1::pg_catalog.int4))`;

export interface EvictOptions extends SessionOptions {
  readonly log?: Log;
  readonly patience?: keyof typeof patienceMs;
  /** For work in a user's database: what it waits for there may be somebody's long query. Default: false */
  readonly sharedOnly?: boolean;
  /** A session in the system database that is free meanwhile. Left out: a new one is opened. */
  readonly watcher?: PgClient;
}

/** Does work that may wait for locks: on our own tables, on rows of roles and databases, and in users' databases. Members
 *  of `pg_write_all_data` can take the first, every user can take others, and keep them in a prepared transaction. So
 *  sessions and prepared transactions that block the work are ended, unless they are a superuser's, whose sessions are
 *  ours or the operator's, or are waited for in a user's database (`sharedOnly`). If that fails, the wait ends at its limit,
 *  and the error names who holds the lock.
 *  @throws what `work` throws */
export async function endingStrangers<T>(
  client: PgClient,
  options: EvictOptions,
  work: () => Promise<T>,
): Promise<T> {
  const waiting = linked(options.signal);
  let holders: readonly string[] = [];
  let before: readonly string[] = [];
  const found = (names: readonly string[]): void => void ([before, holders] = [holders, names]);
  const watching = watch(client, { ...options, signal: waiting.signal }, options.signal, found).catch(
    (error: unknown) => {
      if (!waiting.signal.aborted)
        options.log?.warn(`cannot find out which session blocks compute_ctl: ${explained(error)}`);
    },
  );
  try {
    return await work();
  } catch (error) {
    // The last look may have come just after the wait was over.
    throw naming(error, holders.length > 0 ? holders : before);
  } finally {
    waiting.abort();
    waiting.release();
    await watching;
  }
}

/** Limits of a lock, of a statement. */
const waits: readonly (string | null)[] = ['55P03', '57014'];

function naming(error: unknown, holders: readonly string[]): unknown {
  if (holders.length === 0 || !waits.includes(sqlState(error))) return error;
  const sent = error instanceof SendFailure;
  const cause = sent ? error.cause : error;
  const named = new ComputeError('catalog', `a lock is held by ${listed(holders)}`, { cause });
  return sent ? new SendFailure(error.at, named, error.usable) : named;
}

type Blocker = SessionShown & { readonly stranger: boolean };
interface Prepared {
  readonly gid: string;
  readonly role: string;
  readonly database: string;
  /** Whether that is the system database. */
  readonly here: boolean;
  readonly stranger: boolean;
}

const describePrepared = ({ gid, role, database }: Prepared): string =>
  `prepared transaction ${JSON.stringify(gid)} of role ${JSON.stringify(role)} in database ${JSON.stringify(database)}`;

/** @param whole ends later than the wait: what was changed for it must be changed back */
async function watch(
  client: PgClient,
  options: EvictOptions,
  whole: AbortSignal,
  found: (holders: readonly string[]) => void,
): Promise<void> {
  const { processID } = client as unknown as { processID: number };
  const startMs = monotonicMs();
  const { limits, signal } = options;
  const patience = patienceMs[options.patience ?? 'own'];
  await sleep(Math.min(lookMs, patience, limits.lockMs / 2, limits.statementMs / 2), signal);
  const helper = options.watcher ?? (await openSession(options));
  let running: Promise<unknown> = Promise.resolve();
  try {
    const values = [processID, options.sharedOnly ?? false];
    const round = async (): Promise<false> => {
      const { rows: live } = await helper.query<Blocker>({
        text: `select ${sessionColumns}, ${mayEnd} as stranger ${blocking}`,
        values,
      });
      const { rows: left } = await helper.query<Prepared>({ text: prepared, values });
      found([...live.map(describeSession), ...left.map(describePrepared)]);
      if (elapsedMs(startMs) < patience) return false;
      await end(helper, values, live, left, { ...options, signal: whole });
      return false;
    };
    const once = (): Promise<false> => {
      const result = round();
      running = result.catch(() => {});
      return result;
    };
    await until('the end of the blocking transactions', once, { everyMs, limitMs: Infinity }, signal);
  } finally {
    if (helper !== options.watcher) destroyPg(helper);
    // It may have to close a database again.
    await running;
  }
}

async function end(
  helper: PgClient,
  values: readonly unknown[],
  live: readonly Blocker[],
  left: readonly Prepared[],
  options: EvictOptions,
): Promise<void> {
  const sessions = live.filter(({ stranger }) => stranger);
  const transactions = left.filter(({ stranger }) => stranger);
  // Logged first, because this stops as soon as the wait is over.
  for (const { role } of [...sessions, ...transactions])
    options.log?.warn({ role }, 'ending a transaction that blocks compute_ctl');
  if (sessions.length > 0)
    await helper.query({
      text: `select pg_catalog.pg_terminate_backend(a.pid) ${blocking} and ${mayEnd}`,
      values: [...values],
    });
  for (const one of transactions) {
    if (one.here) await helper.query(rollback(one).reveal());
    else await rollbackElsewhere(one, options);
  }
}

const rollback = ({ gid }: Prepared) => sql`rollback prepared ${literal(gid)}`;

/** A prepared transaction can be ended only in its own database. Its owner may have closed that one since. */
async function rollbackElsewhere(one: Prepared, options: SessionOptions): Promise<void> {
  const outside = await openSession(options);
  try {
    // Nothing else is looked at: what we wait for may be the list of subscriptions.
    const found = await admissionOf(outside, one.database);
    if (found === null) return;
    if (!found.open) await setAside(outside, found, 'superusers', options.signal);
    try {
      const there = await openSession({ ...options, database: one.database });
      await there.query(rollback(one).reveal()).finally(() => destroyPg(there));
    } finally {
      if (!found.open) await reopen(outside, found.oid, options.signal);
    }
  } finally {
    destroyPg(outside);
  }
}
