import { monotonicMs, sleep } from '../core/clock.ts';
import { ComputeError, explained } from '../core/errors.ts';
import type { Lsn } from '../core/lsn.ts';
import { NotRetryable } from '../core/not-retryable.ts';
import { backoffMs, retry } from '../core/retry.ts';
import { type SyncContext, type SyncLimits, runSync } from './sync-run.ts';
import { type Check, checkSafekeepers, defaultAnswerMs } from './safekeepers.ts';

export const defaultSyncLimits: SyncLimits = { runMs: 120_000, totalMs: 300_000, shutdownMs: 60_000 };

export type { SyncContext } from './sync-run.ts';

const runs = 6;
/** The second run follows at once, the third after 1100 ms. */
const pauseMs = (failures: number): number => backoffMs(failures - 1, { firstMs: 1100, factor: 1.1 });

export interface SyncResult {
  readonly lsn: Lsn;
  /** Milliseconds of the last check by `TIMELINE_STATUS`. */
  readonly checkMs: number;
  /** Milliseconds of the run of Postgres that succeeded, null when none was needed. */
  readonly syncMs: number | null;
}

/** Finds the LSN at which a primary may start: asks the safekeepers, and if they are not in sync, runs
 *  `postgres --sync-safekeepers` where the program has it, and else asks until they are. Only for a primary: the safekeepers
 *  then refuse any other writer of the timeline. Each retry asks first, since the safekeepers may have recovered meanwhile.
 *  @throws ComputeError `safekeepers`: `failed to sync safekeepers`, at once for a reason that lasts, else after six runs or
 *  when the time is up; `postgres_missing` or `program_missing` (cgexec) at once when the program is missing */
export async function syncSafekeepers(context: SyncContext, signal: AbortSignal): Promise<SyncResult> {
  const { runMs } = { ...defaultSyncLimits, ...context.limits };
  try {
    const first = await askOnce(context, signal);
    if ('synced' in first.verdict) return syncedAt(first);
    refuseLasting(first);
    if (!(await context.knowsSync())) return await askUntilSynced(context, { first, limitMs: runMs }, signal);
    return await syncByPostgres(context, first, signal);
  } catch (error) {
    signal.throwIfAborted();
    throw isMissing(error) ? error : failed(error);
  }
}

async function syncByPostgres(context: SyncContext, first: Check, signal: AbortSignal): Promise<SyncResult> {
  const { runMs, totalMs } = { ...defaultSyncLimits, ...context.limits };
  const { log } = context;
  const once = async (inTime: AbortSignal, run: number): Promise<SyncResult> => {
    const check = run === 1 ? await askLate(context, first, inTime) : await askOnce(context, inTime);
    if ('synced' in check.verdict) return syncedAt(check);
    refuseLasting(check);
    log.info(
      { reason: check.verdict.unknown },
      'the safekeepers may be out of sync: running postgres --sync-safekeepers',
    );
    // A run waits for a quorum until its limit.
    askedInVain(context, run, check);
    try {
      await context.beforeRun;
      return { ...(await runSync(context, runMs, inTime)), checkMs: check.checkMs };
    } catch (error) {
      signal.throwIfAborted();
      if (!isMissing(error)) log.warn({ run, error: explained(error) }, 'postgres --sync-safekeepers failed');
      throw error;
    }
  };
  const { track } = context;
  const options = { what: 'the sync of the safekeepers', attempts: runs, totalMs, pauseMs, track };
  const retryable = (error: unknown): boolean => !isMissing(error) && !(error instanceof NotRetryable);
  return retry(once, { ...options, retryable }, signal);
}

/** The same at shutdown, after a clean stop of Postgres: asks, and if necessary runs Postgres once.
 *  @returns the LSN, or the error for the log and how much of the WAL is safe; the shutdown continues in any case */
export async function syncAtShutdown(
  context: SyncContext,
  signal: AbortSignal,
): Promise<SyncResult | { readonly error: ComputeError; readonly flushed: Lsn | null }> {
  const { shutdownMs } = { ...defaultSyncLimits, ...context.limits };
  let flushed: Lsn | null = null;
  context.track?.begin({ attempts: Infinity, totalMs: shutdownMs });
  try {
    const first = await askOnce(context, signal, true);
    flushed = first.flushed;
    if ('synced' in first.verdict) return syncedAt(first);
    refuseLasting(first);
    if (!(await context.knowsSync()))
      return await askUntilSynced(
        context,
        {
          first,
          limitMs: Math.min(shutdownMs, askAtShutdownMs),
          onCheck: (check) => (flushed = check.flushed ?? flushed),
          // Nothing else is worth a wait: the next start asks again.
          onlyLate: true,
        },
        signal,
      );
    const check = await askLate(context, first, signal);
    if ('synced' in check.verdict) return syncedAt(check);
    context.log.info(
      { reason: check.verdict.unknown },
      'the safekeepers may be out of sync: running postgres --sync-safekeepers',
    );
    askedInVain(context, 1, check);
    return { ...(await runSync(context, shutdownMs, signal)), checkMs: check.checkMs };
  } catch (error) {
    return { error: failed(error), flushed };
  } finally {
    context.track?.end();
  }
}

const syncedAt = ({ verdict, checkMs }: Check): SyncResult => {
  if ('synced' in verdict) return { lsn: verdict.synced, checkMs, syncMs: null };
  throw new ComputeError('internal', 'the safekeepers are not in sync');
};

const askOnce = (context: SyncContext, signal: AbortSignal, waitForAll = false): Promise<Check> =>
  checkSafekeepers(context, signal, waitForAll);

/** Asks once more, with more time, where the first check merely came late. */
async function askLate(context: SyncContext, first: Check, signal: AbortSignal): Promise<Check> {
  if (first.outlook !== 'late') return first;
  askedInVain(context, 1, first);
  const { answerMs = defaultAnswerMs } = context;
  return checkSafekeepers({ ...context, answerMs: answerMs * 10 }, signal);
}

interface Asking {
  readonly first: Check;
  /** Milliseconds in all. */
  readonly limitMs: number;
  readonly onCheck?: (check: Check) => void;
  /** Stops at once when the answers do not merely come late. */
  readonly onlyLate?: true;
}

/** Asks until the safekeepers are in sync: there is no vote to hold. Each time they get more time.
 *  @throws ComputeError `safekeepers` with the last reason, when the time is up or nothing would help */
async function askUntilSynced(
  context: SyncContext,
  { first, limitMs, onCheck, onlyLate }: Asking,
  signal: AbortSignal,
): Promise<SyncResult> {
  const { answerMs = defaultAnswerMs, log } = context;
  const endMs = monotonicMs() + limitMs;
  context.track?.begin({ attempts: Infinity, totalMs: limitMs });
  try {
    let check = first;
    for (let tries = 1; ; tries++) {
      if ('synced' in check.verdict) return syncedAt(check);
      const { unknown: reason } = check.verdict;
      refuseLasting(check, true);
      if (check.outlook === 'no-timeline') throw refusal('the timeline does not exist', reason, timelineHint);
      const pause = backoffMs(tries, { firstMs: 100, maxMs: 2000 });
      const leftMs = endMs - monotonicMs() - pause;
      if (onlyLate === true && check.outlook !== 'late')
        throw new ComputeError('safekeepers', `not in sync: ${reason}`);
      if (leftMs <= 0)
        throw new ComputeError(
          'safekeepers',
          `not in sync after ${tries} checks in ${limitMs} ms: ${reason}`,
        );
      log[tries === 1 ? 'info' : 'debug'](
        { reason },
        'the safekeepers are not in sync yet: asking them again',
      );
      askedInVain(context, tries, check, pause);
      await sleep(pause, signal);
      const patienceMs = Math.min(answerMs * 2 ** tries, mostAnswerMs, leftMs);
      check = await checkSafekeepers({ ...context, answerMs: Math.max(answerMs, patienceMs) }, signal, true);
      onCheck?.(check);
    }
  } finally {
    context.track?.end();
  }
}

/** For `/status`. @param pauseMs milliseconds until they are asked again; 0: something else follows at once */
function askedInVain({ track }: SyncContext, attempt: number, { verdict }: Check, pauseMs = 0): void {
  if ('unknown' in verdict) track?.failed({ attempt, error: new Error(verdict.unknown), pauseMs });
}

/** @param onlyWeAsk Postgres does not ask on its own, with its own settings for TLS
 *  @throws NotRetryable when the same question would fail again */
function refuseLasting({ verdict, outlook }: Check, onlyWeAsk = false): void {
  const refused = outlook === 'lasting' || (onlyWeAsk && outlook === 'without-tls');
  if (refused && 'unknown' in verdict)
    throw refusal('the safekeepers refuse this compute, or cannot be asked', verdict.unknown, lastingHint);
}

const refusal = (what: string, reason: string, hint: string): NotRetryable =>
  new NotRetryable('safekeepers', `${what}, and another try would not help: ${reason}`, { hint });

const lastingHint =
  'compare storage_auth_token, timeline_id and safekeeper_connstrings of the spec with the storage';
const timelineHint =
  'compare tenant_id and timeline_id of the spec with the storage; this PostgreSQL cannot create a timeline (no --sync-safekeepers)';

const mostAnswerMs = 5000;
/** Milliseconds at shutdown: without an answer nothing that was acknowledged is lost. */
const askAtShutdownMs = 5000;

const missingCodes: readonly string[] = ['postgres_missing', 'program_missing'];

const isMissing = (error: unknown): boolean =>
  error instanceof ComputeError && missingCodes.includes(error.code);

const failed = (cause: unknown): ComputeError =>
  new ComputeError('safekeepers', 'failed to sync safekeepers', {
    cause,
    hint:
      cause instanceof NotRetryable && cause.hint !== undefined
        ? cause.hint
        : 'a majority of the safekeepers must be reachable, and no other compute may run on this timeline',
  });
