import { linked, never } from '../../core/abort.ts';
import { sleep } from '../../core/clock.ts';
import type { PgClient } from '../../pg/client.ts';
import { withCompute } from '../storage/compute-link.ts';
import type { Socket } from '../storage/tools.ts';
import { type Observed, observeBy, sessionsBy } from './observe.ts';

/** What uses Postgres at the moment when it is decided to stop it. Who may log in to what stays as it is until `release`, or
 *  until Postgres has stopped: a change of that waits, and then fails. */
export interface LastLook {
  readonly observed: Observed;
  /** Postgres goes on. */
  release(): void;
  /** Resolves when Postgres has stopped, with the number of sessions that it has cut off.
   *  @param known processes of sessions that end by themselves */
  cutOff(known: ReadonlySet<number>): Promise<number>;
}

/** An autovacuum of these tables makes way within a second. */
const lock = [
  'begin',
  "set local lock_timeout = '2s'",
  'lock table pg_catalog.pg_authid, pg_catalog.pg_auth_members, pg_catalog.pg_database in share mode',
];
const againMs = 2;

/** @throws ComputeError when Postgres does not answer, the driver's error when somebody is changing roles or databases */
export function lookLast(server: Socket, signal: AbortSignal): Promise<LastLook> {
  const looking = linked(signal);
  const over = Promise.withResolvers<void>();
  return new Promise((resolve, reject) => {
    withCompute(server, looking.signal, async (pg) => {
      const { rows } = await pg.query<{ standby: boolean }>(
        'select pg_catalog.pg_is_in_recovery() as standby',
      );
      // Nobody can change anything on a replica but its primary.
      if (rows[0]?.standby !== true) for (const text of lock) await pg.query(text);
      const observed = await observeBy(pg);
      // The end of Postgres is what ends this session, not the stop that brings it.
      looking.release();
      const { resolve: release } = over;
      resolve({ observed, release, cutOff: (known) => untilEnd(pg, observed, known).finally(release) });
      await over.promise;
    })
      .catch(reject)
      .finally(() => looking.release());
  });
}

/** Read after the sessions: while it is not there yet, none of them was told to end. @see src/include/utils/pidfile.h */
const stoppingQuery = `select pg_catalog.pg_read_file('postmaster.pid', 0, 1000) ~ '\\nstopping *\\n' as stopping`;

async function untilEnd(
  pg: PgClient,
  { sessions }: Pick<Observed, 'sessions'>,
  known: ReadonlySet<number>,
): Promise<number> {
  const others = (found: Observed['sessions']): number[] =>
    found.map(({ pid }) => pid).filter((pid) => !known.has(pid));
  for (let last = others(sessions); ; await sleep(againMs, never)) {
    try {
      // What is shown of other sessions stays the same within a transaction.
      await pg.query('select pg_catalog.pg_stat_clear_snapshot()');
      const pids = others(await sessionsBy(pg));
      const { rows } = await pg.query<{ stopping: boolean }>(stoppingQuery);
      if (rows[0]?.stopping === true) return new Set([...last, ...pids]).size;
      last = pids;
    } catch {
      return last.length;
    }
  }
}
