import { ComputeError } from '../core/errors.ts';
import { connectPg, destroyPg, sqlState } from '../pg/client.ts';
import type { PgTarget } from '../pg/target.ts';

const connectMs = 10_000;
const cannotConnectNow = '57P03';

/** Whether the server takes connections, in the sense of `pg_isready`: one that refuses us for any other reason than
 *  that it is starting, recovering or stopping does.
 *  @throws ComputeError `sql` when it does not */
export async function mustAcceptConnections(target: PgTarget, signal: AbortSignal): Promise<void> {
  try {
    destroyPg(await connectPg(target, { applicationName: 'compute_ctl:liveness', connectMs, signal }));
  } catch (error) {
    signal.throwIfAborted();
    const state = sqlState(error);
    if (state !== null && state !== cannotConnectNow) return;
    throw new ComputeError('sql', 'Postgres does not accept connections', { cause: error });
  }
}
