import { elapsedMs, monotonicMs } from '../core/clock.ts';
import { ComputeError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { RetryTrack } from '../core/retries.ts';
import { type Lsn, formatLsn, parseLsn } from '../core/lsn.ts';
import { inCgroup } from '../process/cgroup.ts';
import { runProcess } from '../process/run-process.ts';
import type { SafekeeperContext } from './safekeepers.ts';

export interface SyncContext extends SafekeeperContext {
  /** The postgres program. */
  readonly pgbin: string;
  /** Memory control group to run it in; null for none. */
  readonly cgroup: string | null;
  /** Contains `postgresql.conf` with the safekeepers, tenant and timeline; Postgres adds `pg_wal`. */
  readonly pgdata: string;
  readonly env: NodeJS.ProcessEnv;
  /** Whether the program has `--sync-safekeepers`: Neon's has, a stock PostgreSQL has not. */
  readonly knowsSync: () => Promise<boolean>;
  readonly log: Log;
  /** Shows in `/status` that they are asked again. */
  readonly track?: RetryTrack;
  /** Called with each line of Postgres's stderr during a sync. */
  readonly onStderrLine: (line: string) => void;
  /** A run of Postgres waits for this (the writing of `postgresql.conf`); the safekeepers are asked before. */
  readonly beforeRun?: Promise<void>;
  readonly limits?: Partial<SyncLimits>;
}

export interface SyncLimits {
  /** Milliseconds for one run; Postgres itself would wait for a quorum for ever. With a stock PostgreSQL: for asking the
   *  safekeepers again. */
  readonly runMs: number;
  /** Milliseconds for all runs, checks and pauses of one start together. */
  readonly totalMs: number;
  /** The same at shutdown, where Postgres runs once. */
  readonly shutdownMs: number;
}

/** Runs `postgres --sync-safekeepers` once.
 *  @throws ComputeError `safekeepers`, `postgres_missing`, `program_missing` (cgexec), `deadline` */
export async function runSync(
  context: SyncContext,
  limitMs: number,
  signal: AbortSignal,
): Promise<{ lsn: Lsn; syncMs: number }> {
  const startMs = monotonicMs();
  const result = await runProcess(
    {
      ...inCgroup(context.pgbin, ['--sync-safekeepers'], context.cgroup),
      cwd: context.pgdata, // where it is found if we are killed
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
