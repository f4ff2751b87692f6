import { poll } from '../core/poll.ts';
import { Secret } from '../core/secret.ts';
import { withPg } from '../pg/client.ts';
import { ownSession } from '../pg/session-settings.ts';
import { readPhase, serves } from './phase.ts';
import { type LocalDir, stateOf } from './state.ts';

/** A client of the front waits for 60 seconds at most. */
const limitMs = 65_000;
const lookMs = 20;

/** Wakes a compute that sleeps, as a client does, and waits until it is ready: for what reaches Postgres or compute_ctl without the
 *  front. One that is awake has been used then. Does nothing while it does not run, and where nothing sleeps.
 *  @throws ComputeError `sql` with the front's reason */
export async function wake(dir: LocalDir, signal: AbortSignal): Promise<void> {
  const sleeps = (): boolean => ['asleep', 'waking'].includes(readPhase(dir.upPid)?.phase ?? '');
  const phase = readPhase(dir.upPid)?.phase ?? null;
  if (phase === null || !serves(phase)) return;
  const { user, password, database, ports, front } = stateOf(dir);
  if (front !== true) return;
  const target = { host: '127.0.0.1', port: ports.postgres, user, password: new Secret(password), database };
  const session = { applicationName: 'compute-local', connectMs: limitMs, queryMs: limitMs, signal };
  await withPg(ownSession({ ...target, options: '' }, {}, { superuser: false }), session, (pg) =>
    pg.query('select'),
  );
  // Clients are served before the start is complete.
  await poll(async () => (sleeps() ? null : true), { everyMs: lookMs, limitMs }, signal);
}
