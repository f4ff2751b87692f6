import { monotonicMs, raceAbort, sleep, timeLimit } from '../core/clock.ts';
import { ComputeError, explained } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { Queue } from '../core/queue.ts';
import { literal, sql } from '../core/sql.ts';
import { type PgClient, destroyPg, sqlState } from '../pg/client.ts';
import { listed } from '../pg/session-name.ts';
import { type Occupied, inTheWay, occupantsOf } from './occupants.ts';
import type { DatabaseUse } from './phase.ts';
import { SendFailure, sendAlone } from './send.ts';
import { type SessionOptions, closeSession, openSession } from './session.ts';
import { type Accepts, reopen, setAside } from './set-aside.ts';
import { dropSubscriptionsBlock } from './subscriptions.ts';

/** Another session, a prepared transaction, a slot or a subscription uses the database. */
const objectInUse = '55006';
/** What everybody may connect to, and where nobody's data is. It stays open to superusers: from there a system database is
 *  repaired that lets nobody in. */
const commonTemplate = 'template1';
/** Milliseconds from one check to the next. */
const everyMs = 50;
/** Milliseconds for reopening a database after the pass was aborted or has lost its connection. */
const reopenMs = 5000;

/** Several workers create databases from one template: one at a time clears it, the others then find it cleared. It is
 *  open again when all of them are done. */
const clearing = new Queue(1);
interface Sharing {
  workers: number;
  /** OIDs of what was closed. */
  readonly closed: Set<number>;
}
const sharings = new Map<string, Sharing>();

interface Options extends SessionOptions {
  readonly log: Log;
  /** Why a database is not connected to. */
  readonly crashOf?: (name: string) => ComputeError | undefined;
}

/** Does work that Postgres refuses while others use a database. What uses it is ended: sessions, walsenders, background
 *  workers; where the database is dropped, subscriptions and prepared transactions, too. Those of a database that is kept
 *  may be somebody's data: they are waited for. Meanwhile the database accepts no connections, and afterwards what it
 *  accepted before.
 *  @throws SendFailure of `work`; or that names what is still in the way at the statement's limit */
export async function undisturbed(
  client: PgClient,
  use: DatabaseUse,
  options: Options,
  work: () => Promise<void>,
): Promise<void> {
  const endMs = monotonicMs() + options.limits.statementMs;
  const key = JSON.stringify([options.target.host, options.target.port, use.database]);
  const sharing = sharings.get(key) ?? { workers: 0, closed: new Set<number>() };
  const { closed } = sharing;
  sharings.set(key, sharing);
  sharing.workers++;
  const told = new Set<string>();
  const tell = (names: readonly string[]): void => {
    const news = names.filter((name) => !told.has(name));
    for (const name of news) told.add(name);
    const message = `ending what uses the database, to ${use.purpose} it: ${listed(news)}`;
    if (news.length > 0) options.log.warn({ database: use.database }, message);
  };
  try {
    for (;;) {
      const left = await clearing.add(() => clear(client, use, { closed, tell }, options), options.signal);
      // Superusers may be in there again, but what has just been ended goes while the server waits.
      const ready = left.length === 0 || use.database === commonTemplate;
      const refused = ready ? await attempt(work) : null;
      if (ready && refused === null) return;
      if (monotonicMs() > endMs) throw stillUsed(use, left, refused);
      await sleep(everyMs, options.signal);
    }
  } catch (error) {
    options.signal.throwIfAborted();
    if (error instanceof SendFailure) throw error;
    // Where the session still answers, only this database is left out.
    throw new SendFailure(0, error, error instanceof ComputeError || sqlState(error) !== null);
  } finally {
    sharing.workers--;
    if (sharing.workers === 0) {
      sharings.delete(key);
      for (const oid of closed) await reopened(client, oid, use, options);
    }
  }
}

/** @returns the refusal; null when it was done. @throws what else `work` throws */
async function attempt(work: () => Promise<void>): Promise<unknown> {
  try {
    await work();
    return null;
  } catch (error) {
    if (sqlState(error) !== objectInUse) throw error;
    return error;
  }
}

/** @returns the names of what is in the way; empty when nothing is. They may be gone the next time */
async function clear(
  client: PgClient,
  use: DatabaseUse,
  { closed, tell }: { closed: Set<number>; tell: (names: readonly string[]) => void },
  options: Options,
): Promise<string[]> {
  const found = await raceAbort(occupantsOf(client, use.database), options.signal);
  const names = found === null ? [] : inTheWay(found, use);
  if (found === null || names.length === 0) return [];
  const disposable = use.purpose === 'delete' || found.name === commonTemplate;
  if (found.prepared.length > 0 && !disposable) return names;
  tell(names);
  const close = async (accepts: Accepts): Promise<void> => {
    // The system database cannot be closed to ourselves.
    if (found.current) return;
    closed.add(found.oid);
    await setAside(client, found, accepts, options.signal);
  };
  const inside = found.prepared.length > 0 || (use.purpose === 'delete' && found.subscriptions.length > 0);
  if (inside && !found.current) {
    await close('superusers');
    await endSessions(client, found);
    await clearInside(use, found, options);
  }
  const accepts = found.name === commonTemplate ? 'superusers' : 'nobody';
  const isClosed = !found.open || (accepts === 'superusers' && found.limit === 0);
  if (inside ? accepts === 'nobody' : !isClosed) await close(accepts);
  await endSessions(client, found);
  return names;
}

/** In the system database superusers' sessions are left: the monitor's is there. */
async function endSessions(client: PgClient, { current, sessions, slots }: Occupied): Promise<void> {
  const ended = [...sessions.filter(({ superuser }) => !current || !superuser), ...slots];
  const values = [ended.map(({ pid }) => pid)];
  const text = `select pg_catalog.pg_terminate_backend(p.pid) from pg_catalog.unnest($1::pg_catalog.int4[]) p (pid)`;
  await client.query({ text, values });
}

/** Ends what can only be ended from inside the database. */
async function clearInside(use: DatabaseUse, { subscriptions }: Occupied, options: Options): Promise<void> {
  const crash = options.crashOf?.(use.database);
  if (crash !== undefined) throw crash;
  const session = await openSession({ ...options, database: use.database });
  try {
    const { rows } = await session.query<{ gid: string }>(
      'select p.gid from pg_catalog.pg_prepared_xacts p where p.database = pg_catalog.current_database()',
    );
    for (const { gid } of rows)
      await sendAlone(session, sql`rollback prepared ${literal(gid)}`, options.signal);
    if (use.purpose === 'delete' && subscriptions.length > 0)
      await sendAlone(session, dropSubscriptionsBlock(false), options.signal);
    closeSession(session);
  } catch (error) {
    destroyPg(session);
    throw error;
  }
}

/** Reopens a database; on a connection of its own when the pass was aborted or has lost its connection. */
async function reopened(client: PgClient, oid: number, use: DatabaseUse, options: Options): Promise<void> {
  try {
    await clearing.add(() => reopen(client, oid, options.signal), options.signal);
  } catch {
    const signal = timeLimit(reopenMs);
    try {
      const own = await openSession({ ...options, signal });
      await reopen(own, oid, signal).finally(() => closeSession(own));
    } catch (error) {
      const message = `the database is closed to connections until the next pass: ${explained(error)}`;
      options.log.error({ database: use.database }, message);
    }
  }
}

function stillUsed(
  { database, purpose }: DatabaseUse,
  names: readonly string[],
  refused: unknown,
): ComputeError {
  const what = names.length === 0 ? 'something that ended too late' : listed(names);
  return new ComputeError(
    'catalog',
    `cannot ${purpose} database ${JSON.stringify(database)}, used by ${what}`,
    {
      cause: refused ?? Object.assign(new Error('the database is in use'), { code: objectInUse }),
    },
  );
}
