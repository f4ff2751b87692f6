import { elapsedMs, monotonicMs } from '../core/clock.ts';
import { ComputeError, explained } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { type Lsn, formatLsn, parseLsn } from '../core/lsn.ts';
import type { RetryTrack } from '../core/retries.ts';
import { backoffMs, retry } from '../core/retry.ts';
import { inCgroup } from '../process/cgroup.ts';
import { runProcess } from '../process/run-process.ts';
import { type SafekeeperContext, checkSafekeepers } from './safekeepers.ts';

export interface SyncContext extends SafekeeperContext {
  /** The postgres program. */
  readonly pgbin: string;
  /** Memory control group to run it in; null for none. */
  readonly cgroup: string | null;
  /** Contains `postgresql.conf` with the safekeepers, tenant and timeline; Postgres adds `pg_wal`. */
  readonly pgdata: string;
  readonly env: NodeJS.ProcessEnv;
  readonly log: Log;
  readonly track?: RetryTrack;
  /** Called with each line of Postgres's stderr during a sync. */
  readonly onStderrLine: (line: string) => void;
  /** A run of Postgres waits for this (the writing of `postgresql.conf`); the safekeepers are asked before. */
  readonly beforeRun?: Promise<void>;
  readonly limits?: Partial<SyncLimits>;
}

export interface SyncLimits {
  /** Milliseconds for one run; Postgres itself would wait for a quorum for ever. */
  readonly runMs: number;
  /** Milliseconds for all runs, checks and pauses of one start together. */
  readonly totalMs: number;
  /** Milliseconds for the one run at shutdown. */
  readonly shutdownMs: number;
}

export const defaultSyncLimits: SyncLimits = { runMs: 120_000, totalMs: 300_000, shutdownMs: 60_000 };

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
 *  `postgres --sync-safekeepers`. Only for a primary: the safekeepers then refuse any other writer of the timeline.
 *  Each retry asks first, since the safekeepers may have recovered meanwhile.
 *  @throws ComputeError `safekeepers`: `failed to sync safekeepers` after six runs or when the time is up;
 *  `postgres_missing` or `program_missing` (cgexec) at once when the program is missing */
export async function syncSafekeepers(context: SyncContext, signal: AbortSignal): Promise<SyncResult> {
  const { runMs, totalMs } = { ...defaultSyncLimits, ...context.limits };
  const { log } = context;
  const once = async (inTime: AbortSignal, run: number): Promise<SyncResult> => {
    const { verdict, checkMs } = await checkSafekeepers(context, inTime);
    if ('synced' in verdict) return { lsn: verdict.synced, checkMs, syncMs: null };
    log.info(
      { reason: verdict.unknown },
      'the safekeepers may be out of sync: running postgres --sync-safekeepers',
    );
    // A run waits for a quorum until its limit.
    context.track?.failed({ attempt: run, error: new Error(verdict.unknown), pauseMs: 0 });
    try {
      await context.beforeRun;
      return { ...(await runSync(context, runMs, inTime)), checkMs };
    } catch (error) {
      signal.throwIfAborted();
      if (!isMissing(error)) log.warn({ run, error: explained(error) }, 'postgres --sync-safekeepers failed');
      throw error;
    }
  };
  const options = {
    what: 'the sync of the safekeepers',
    attempts: runs,
    totalMs,
    pauseMs,
    track: context.track,
  };
  try {
    return await retry(once, { ...options, retryable: (error) => !isMissing(error) }, signal);
  } catch (error) {
    signal.throwIfAborted();
    throw isMissing(error) ? error : failed(error);
  }
}

const isMissing = (error: unknown): boolean =>
  error instanceof ComputeError && missingCodes.includes(error.code);

/** The same at shutdown, after a clean stop of Postgres: asks once, and if necessary runs Postgres once.
 *  @returns the LSN, or the error for the status; the shutdown continues in any case */
export async function syncAtShutdown(
  context: SyncContext,
  signal: AbortSignal,
): Promise<SyncResult | { readonly error: ComputeError }> {
  const { shutdownMs } = { ...defaultSyncLimits, ...context.limits };
  context.track?.begin({ attempts: 1, totalMs: shutdownMs });
  try {
    const { verdict, checkMs } = await checkSafekeepers(context, signal);
    if ('synced' in verdict) return { lsn: verdict.synced, checkMs, syncMs: null };
    context.log.info(
      { reason: verdict.unknown },
      'the safekeepers may be out of sync: running postgres --sync-safekeepers',
    );
    context.track?.failed({ attempt: 1, error: new Error(verdict.unknown), pauseMs: 0 });
    return { ...(await runSync(context, shutdownMs, signal)), checkMs };
  } catch (error) {
    return { error: failed(error) };
  } finally {
    context.track?.end();
  }
}

const missingCodes: readonly string[] = ['postgres_missing', 'program_missing'];

const failed = (cause: unknown): ComputeError =>
  new ComputeError('safekeepers', 'failed to sync safekeepers', {
    cause,
    hint: 'a majority of the safekeepers must be reachable, and no other compute may run on this timeline',
  });

async function runSync(
  context: SyncContext,
  limitMs: number,
  signal: AbortSignal,
): Promise<{ lsn: Lsn; syncMs: number }> {
  const startMs = monotonicMs();
  const result = await runProcess(
    {
      ...inCgroup(context.pgbin, ['--sync-safekeepers'], context.cgroup),
      env: {
        ...context.env,
        PGDATA: context.pgdata,
        ...(context.token === null ? {} : { NEON_AUTH_TOKEN: context.token.reveal() }),
      },
      limitMs,
      maxBytes: 64 * 1024,
      onStderrLine: context.onStderrLine,
    },
    signal,
  );
  // The exit codes of the shell that starts it, for a program that is missing or not executable.
  if (result.code === 126 || result.code === 127) {
    throw new ComputeError('postgres_missing', `cannot start ${context.pgbin}`, {
      cause: new Error(result.stderr.trim().slice(-1000)),
    });
  }
  if (result.code !== 0) {
    const how = result.code === null ? `signal ${result.signal}` : `exit code ${result.code}`;
    throw new ComputeError('safekeepers', `postgres --sync-safekeepers exited with non-zero status: ${how}`, {
      cause: new Error(
        result.stderr.trim() === ''
          ? 'its stderr is empty'
          : `its stderr ends with: ${result.stderr.trim().slice(-1000)}`,
      ),
    });
  }
  const lsn = parseLsn(result.stdout);
  if (lsn === null) {
    const said = JSON.stringify(result.stdout.slice(0, 200));
    throw new ComputeError('safekeepers', `postgres --sync-safekeepers printed ${said} instead of an LSN`);
  }
  context.log.info({ lsn: formatLsn(lsn) }, 'safekeepers synced');
  return { lsn, syncMs: elapsedMs(startMs) };
}
