import { explained } from '../core/errors.ts';
import { formatLsn } from '../core/lsn.ts';
import { syncAtShutdown } from '../storage/sync.ts';
import type { StartContext } from './context.ts';
import { syncContext } from './sync-context.ts';

/** Once Postgres has ended: syncs the safekeepers, so that the next start is quicker, and gets the LSN that is safe. A
 *  failure is logged and never prevents the compute's end.
 *  @param escalate aborts the waits */
export async function syncSafekeepersAtShutdown(context: StartContext, escalate: AbortSignal): Promise<void> {
  const { state, log } = context;
  // The current spec decides: a replica may have been promoted meanwhile.
  const spec = state.spec ?? context.spec;
  if (spec.mode.kind !== 'primary') return;
  const result = await syncAtShutdown(syncContext({ ...context, spec }, Promise.resolve()), escalate);
  if ('error' in result) {
    log.error(`the safekeepers were not synced at shutdown: ${explained(result.error)}`);
    return;
  }
  state.flushLsn = formatLsn(result.lsn);
  log.info(`safekeepers are in sync at ${state.flushLsn}`);
}
