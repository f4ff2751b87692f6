import { inline } from '../core/errors.ts';
import { type Lsn, formatLsn } from '../core/lsn.ts';
import { shutdownCheckpoint } from '../postgres/control-file.ts';
import { syncAtShutdown } from '../storage/sync.ts';
import { type StartContext, pathOf } from './context.ts';
import { syncContext } from './sync-context.ts';

/** Once Postgres has ended: syncs the safekeepers, so that the next start is quicker, and gets the LSN that is safe. A
 *  failure is logged and never prevents the compute's end. It is an error only if WAL is lost.
 *  @param escalate aborts the waits */
export async function syncSafekeepersAtShutdown(context: StartContext, escalate: AbortSignal): Promise<void> {
  const { state, log } = context;
  // The current spec decides: a replica may have been promoted meanwhile.
  const spec = state.spec ?? context.spec;
  if (spec.mode.kind !== 'primary') return;
  const result = await syncAtShutdown(
    syncContext({ ...context, spec }, Promise.resolve(), escalate),
    escalate,
  );
  const synced = 'error' in result ? null : result.lsn;
  const lost = await lostWal(context, 'error' in result ? result.flushed : result.lsn);
  const why = 'error' in result ? `: ${inline(result.error)}` : '';
  if (lost !== null) {
    log.error(
      { hint: 'the files in pg_wal of the data directory have it, until the next start removes them' },
      `the safekeepers were not synced at shutdown: the WAL from ${lost.from} to ${lost.to} is lost${why}`,
    );
  } else if (synced === null) {
    log.warn(`the safekeepers were not asked to the end at shutdown; no acknowledged commit is lost${why}`);
  }
  if (synced === null) return;
  state.flushLsn = formatLsn(synced);
  log.info(`safekeepers are in sync at ${state.flushLsn}`);
}

/** The WAL that this compute has written and a quorum has not; null if there is none, or nobody knows. */
async function lostWal(
  context: StartContext,
  flushed: Lsn | null,
): Promise<{ readonly from: string; readonly to: string } | null> {
  const end = await shutdownCheckpoint(pathOf(context));
  if (end === null || flushed === null || flushed >= end) return null;
  return { from: formatLsn(flushed), to: formatLsn(end) };
}
