import { ComputeError, explained } from '../core/errors.ts';
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
  const flushed = 'error' in result ? result.flushed : result.lsn;
  const end = await shutdownCheckpoint(pathOf(context));
  if (end !== null && flushed !== null && isMissing(flushed, end)) {
    const range = `from ${formatLsn(flushed)} to ${formatLsn(end)}`;
    const lost = new ComputeError(
      'safekeepers',
      `the safekeepers were not synced at shutdown: the WAL ${range} is lost`,
      {
        cause: 'error' in result ? result.error : undefined,
        hint: 'it is in pg_wal of the data directory, until the next start removes that',
      },
    );
    log.error(explained(lost));
  } else if (synced === null) {
    // A commit is acknowledged when a quorum has it. What asked for less (synchronous_commit off) may be missing.
    const lost = end !== null && flushed !== null ? 'nothing is lost' : 'no acknowledged commit is lost';
    const why = 'error' in result ? `: ${explained(result.error)}` : '';
    log.warn(`the safekeepers did not confirm the end of the WAL at shutdown; ${lost}${why}`);
  }
  if (synced === null) return;
  state.flushLsn = formatLsn(synced);
  log.info(`safekeepers are in sync at ${state.flushLsn}`);
}

const pageBytes = 8192n;
/** Of the longer of the two kinds of page headers. */
const headerBytes = 40n;

/** Whether records between two positions are missing. WAL that ends with a page ends before the header of the next one, and
 *  the record after it begins behind that header. */
export function isMissing(flushed: Lsn, end: Lsn): boolean {
  const onlyHeader = flushed % pageBytes === 0n && end - flushed <= headerBytes;
  return flushed < end && !onlyHeader;
}
