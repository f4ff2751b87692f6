import { poll } from '../core/poll.ts';
import { Secret } from '../core/secret.ts';
import { withPg } from '../pg/client.ts';
import { ownSession } from '../pg/session-settings.ts';
import { readPhase } from './phase.ts';
import { type LocalDir, stateOf } from './state.ts';

/** A client of the front waits for 60 seconds at most. */
const limitMs = 65_000;
const lookMs = 20;

/** Wakes a compute that sleeps, as a client does, and waits until it is ready: for what reaches Postgres or compute_ctl without the
 *  front. Does nothing while it does not run.
 *  @throws ComputeError `sql` with the front's reason */
export async function wake(dir: LocalDir, signal: AbortSignal): Promise<void> {
  const sleeps = (): boolean => ['asleep', 'waking'].includes(readPhase(dir.upPid)?.phase ?? '');
  if (!sleeps()) return;
  const { user, password, database, ports } = stateOf(dir);
  const target = { host: '127.0.0.1', port: ports.postgres, user, password: new Secret(password), database };
  const session = { applicationName: 'compute-local', connectMs: limitMs, queryMs: limitMs, signal };
  await withPg(ownSession({ ...target, options: '' }, {}, { superuser: false }), session, (pg) =>
    pg.query('select'),
  );
  // Clients are served before the start is complete.
  await poll(async () => (sleeps() ? null : true), { everyMs: lookMs, limitMs }, signal);
}
