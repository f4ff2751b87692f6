import { inline } from '../core/errors.ts';
import { formatLsn } from '../core/lsn.ts';
import { syncAtShutdown } from '../storage/sync.ts';
import type { StartContext } from './context.ts';
import { syncContext } from './sync-context.ts';

/** Once Postgres is gone: brings the safekeepers in sync, so that the next start finds them so, and learns the LSN that
 *  is safe. A failure is reported and never keeps the compute from ending.
 *  @param escalate aborts the waits */
export async function syncSafekeepersAtShutdown(context: StartContext, escalate: AbortSignal): Promise<void> {
  const { state, log } = context;
  // The current spec decides: a replica may have been promoted meanwhile.
  const spec = state.spec ?? context.spec;
  if (spec.mode.kind !== 'primary') return;
  const result = await syncAtShutdown(syncContext({ ...context, spec }, Promise.resolve()), escalate);
  if ('error' in result) {
    log.error(`the safekeepers were not synced at shutdown: ${inline(result.error)}`);
    return;
  }
  state.flushLsn = formatLsn(result.lsn);
  log.info(`safekeepers are in sync at ${state.flushLsn}`);
}
