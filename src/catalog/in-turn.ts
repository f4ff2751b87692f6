import { ComputeError } from '../core/errors.ts';
import { poll } from '../core/poll.ts';
import { Queue } from '../core/queue.ts';
import type { PgClient } from '../pg/client.ts';
import { type SessionShown, describeSession, listed, sessionColumns } from '../pg/session-name.ts';
import type { PgTarget } from '../pg/target.ts';
import { type SessionOptions, passName } from './session.ts';

const queues = new Map<string, Queue>();

/** Runs one such piece of work at a time on each server. This process is the only compute_ctl of its server: the lock of
 *  the data directory sees to that. So no lock in the server is needed, which users could hold as well.
 *  @throws what `work` throws */
export function inTurn<T>(
  name: string,
  { host, port }: PgTarget,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  const key = JSON.stringify([name, host, port]);
  const queue = queues.get(key) ?? new Queue(1);
  queues.set(key, queue);
  return queue.add(work, signal);
}

/** Sessions of an earlier piece of the same work that still do something: a server notices only after a while that a
 *  client is gone, and what still runs would conflict with the same statement of the next. They are ours by their
 *  application name and their role: users can choose the first, but not the second. */
const earlier = `
from pg_catalog.pg_stat_activity a join pg_catalog.pg_authid r on r.oid = a.usesysid
where r.rolname = session_user and r.rolsuper and a.application_name = $1::pg_catalog.text
  and a.pid <> pg_catalog.pg_backend_pid() and a.state is distinct from 'idle'`;

const everyMs = 20;

/** Ends what an earlier compute_ctl, or a piece of work that was aborted, has left running under this application name.
 *  @throws ComputeError `catalog` when it does not end within the limit for a lock */
export async function endEarlier(
  client: PgClient,
  { applicationName = passName, limits, signal }: SessionOptions,
): Promise<void> {
  let left: readonly SessionShown[] = [];
  const values = [applicationName];
  const gone = await poll(
    async () => {
      const { rows } = await client.query<SessionShown>({
        text: `select ${sessionColumns}, pg_catalog.pg_terminate_backend(a.pid) ${earlier}`,
        values,
      });
      left = rows;
      return rows.length === 0 ? true : null;
    },
    { everyMs, limitMs: limits.lockMs },
    signal,
  );
  if (gone !== null) return;
  const message = `sessions of an earlier compute_ctl do not end: ${listed(left.map(describeSession))}`;
  throw new ComputeError('catalog', message, { hint: 'end these processes of Postgres, then apply again' });
}
