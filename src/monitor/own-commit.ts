import { raceAbort } from '../core/clock.ts';
import { connectPg, destroyPg, ended, hangUpPg } from '../pg/client.ts';
import { ownSession } from '../pg/session-settings.ts';
import type { PgTarget } from '../pg/target.ts';
import type { CheckLimits } from './checks.ts';

const name = 'compute_ctl:commit_probe';

/** Writes a few bytes of WAL and commits, as durably as other sessions do that ask for nothing else. Resolves when the commit
 *  has returned; that may take until `signal` aborts, for it waits in the server like those that it stands for. The next
 *  attempt begins when somebody has canceled the wait, which does not make commits return.
 *  @throws what ends the connection */
export async function ownCommit(
  target: PgTarget,
  { connectMs }: CheckLimits,
  signal: AbortSignal,
): Promise<void> {
  const session = ownSession(
    target,
    { client_min_messages: 'warning' },
    { asConfigured: ['synchronous_commit'] },
  );
  const client = await connectPg(session, { applicationName: name, connectMs, signal });
  let canceled = 0;
  client.on('notice', () => canceled++);
  try {
    for (let tried = 0; tried === 0 || canceled > 0; tried++) {
      canceled = 0;
      const committed = client.query("select pg_catalog.pg_logical_emit_message(true, 'compute_ctl', '')");
      const lost = ended(client).then(() => {
        throw new Error('the connection is closed');
      });
      lost.catch(() => {});
      await raceAbort(Promise.race([committed, lost]), signal);
    }
    hangUpPg(client);
  } catch (error) {
    destroyPg(client);
    throw error;
  }
}
