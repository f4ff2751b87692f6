import { ComputeError } from '../core/errors.ts';
import { connectPg, destroyPg, sqlState } from '../pg/client.ts';
import { ownSession } from '../pg/session-settings.ts';
import type { PgTarget } from '../pg/target.ts';

const connectMs = 10_000;
const cannotConnectNow = '57P03';

/** Checks whether the server accepts connections, in the sense of `pg_isready`: a refusal counts as accepting, except
 *  while the server is starting, recovering or stopping.
 *  @throws ComputeError `sql` when it does not accept connections */
export async function mustAcceptConnections(target: PgTarget, signal: AbortSignal): Promise<void> {
  try {
    destroyPg(
      await connectPg(ownSession(target), { applicationName: 'compute_ctl:liveness', connectMs, signal }),
    );
  } catch (error) {
    signal.throwIfAborted();
    const state = sqlState(error);
    if (state !== null && state !== cannotConnectNow) return;
    throw new ComputeError('sql', 'Postgres does not accept connections', { cause: error });
  }
}
