import { withDeadline } from '../core/clock.ts';
import { ComputeError } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import type { Secret } from '../core/secret.ts';
import type { RunAs } from '../process/os-user.ts';
import { inCgroup } from '../process/cgroup.ts';
import { endOrphans } from './pgdata-processes.ts';
import type { PostgresBin } from './postgres-bin.ts';
import { type PostmasterLog, followPostmasterLog } from './postmaster-log.ts';
import { type Exit, type RunningProcess, startProcess } from '../process/process.ts';
import { hasProc } from '../process/proc.ts';
import { type PidFileWatch, untilReady, watchPgdata } from './ready.ts';
import { type EndStep, endChild } from '../process/end.ts';

export interface PostgresOptions {
  readonly bin: PostgresBin;
  /** Absolute, no symbolic links. */
  readonly pgdata: string;
  readonly runAs: RunAs;
  /** The whole environment, without the token. */
  readonly env: NodeJS.ProcessEnv;
  /** Becomes `NEON_AUTH_TOKEN`. */
  readonly authToken: Secret | null;
  /** Memory control group to start it in, by `cgexec`; null for none. */
  readonly cgroup: string | null;
  readonly log: Log;
  /** Where its log lines go, `PG:` in front; stderr when left out. */
  readonly writeLog?: (line: string) => void;
}

export type StopMode = 'fast' | 'immediate';

export interface StopLimits {
  /** How long a fast shutdown may take before an immediate one follows. */
  readonly fastMs: number;
  /** How long an immediate shutdown may take before SIGKILL. Default 5000. */
  readonly immediateMs?: number;
}

const drainMs = 1000;
const killMs = 5000;

/** Starts the postmaster and returns at once; `waitReady` waits. It gets a process group of its own. */
export async function startPostgres(options: PostgresOptions): Promise<Postgres> {
  const { bin, pgdata, runAs, authToken, cgroup } = options;
  const watching = watchPgdata(pgdata);
  try {
    const child = await startProcess({
      ...inCgroup(bin.path, ['-D', pgdata], cgroup),
      env: authToken === null ? options.env : { ...options.env, NEON_AUTH_TOKEN: authToken.reveal() },
      cwd: pgdata, // where it goes anyway; so it is known for what it is from its first moment
      runAs,
      stdout: 'inherit',
      detached: true,
    });
    return new Postgres(child, options, watching);
  } catch (error) {
    watching.close();
    throw error;
  }
}

/** One running server. It is over when `exited` resolves: postmaster reaped, its children gone, its log written. */
export class Postgres {
  readonly pid: number;
  /** Never rejects. */
  readonly exited: Promise<Exit>;
  readonly #child: RunningProcess;
  readonly #options: PostgresOptions;
  readonly #watching: PidFileWatch;
  readonly #log: PostmasterLog;
  readonly #escalate = new AbortController();
  #stopping: Promise<Exit> | null = null;

  constructor(child: RunningProcess, options: PostgresOptions, watching: PidFileWatch) {
    if (child.stderr === null) throw new ComputeError('internal', 'the stderr of Postgres is not captured');
    this.pid = child.pid;
    this.#child = child;
    this.#options = options;
    this.#watching = watching;
    this.#log = followPostmasterLog(child.stderr, options.writeLog);
    this.exited = this.#afterExit();
  }

  get running(): boolean {
    return this.#child.exit === null;
  }

  /** Null while the postmaster runs. */
  get exit(): Exit | null {
    return this.#child.exit;
  }

  /** Resolves when `postmaster.pid` says ready. On a failure or after `limitMs` Postgres has been ended and awaited; when
   *  `signal` aborts, it still runs and the caller stops it.
   *  @throws ComputeError `postgres_start` */
  async waitReady(limitMs: number, signal: AbortSignal): Promise<void> {
    try {
      await withDeadline('the start of Postgres', limitMs, signal, (limited) =>
        untilReady(this.#child, this.#options.pgdata, this.#watching, limited),
      );
    } catch (error) {
      if (signal.aborted) throw error;
      await this.stop('immediate', { fastMs: 0 }, signal);
      if (!(error instanceof ComputeError) || error.code !== 'deadline') throw error;
      throw new ComputeError('postgres_start', 'timed out while waiting for Postgres to start', {
        cause: error,
        hint: 'its last log lines (PG:) say what it was doing',
      });
    } finally {
      this.#watching.close();
    }
  }

  /** Makes Postgres read its configuration files again; it does so a little later. False when it has ended. */
  reload(): boolean {
    return this.#child.kill('SIGHUP');
  }

  /** Stops Postgres and resolves with its exit once nothing of it is left. Fast goes over to immediate after
   *  `limits.fastMs`, at once when `signal` aborts or somebody else calls with `immediate`; the last resort is SIGKILL.
   *  @throws ComputeError `postgres_stuck` when not even that ends it within 5000 ms */
  async stop(mode: StopMode, limits: StopLimits, signal: AbortSignal): Promise<Exit> {
    if (mode === 'immediate' || signal.aborted) this.#escalate.abort();
    const escalate = (): void => this.#escalate.abort();
    signal.addEventListener('abort', escalate, { once: true });
    try {
      this.#stopping ??= this.#stop(mode, limits);
      return await this.#stopping;
    } finally {
      signal.removeEventListener('abort', escalate);
    }
  }

  async #stop(mode: StopMode, limits: StopLimits): Promise<Exit> {
    const immediate: EndStep[] = [
      { signal: 'SIGQUIT', graceMs: limits.immediateMs ?? 5000 },
      { signal: 'SIGKILL', graceMs: killMs },
    ];
    const fast: EndStep = { signal: 'SIGINT', graceMs: limits.fastMs, patient: true };
    const steps = mode === 'fast' ? [fast, ...immediate] : immediate;
    await endChild(this.#child, steps, this.#escalate.signal, { group: true, stuck: 'postgres_stuck' });
    return this.exited;
  }

  async #afterExit(): Promise<Exit> {
    const { log, pgdata } = this.#options;
    const exit = await this.#child.exited;
    this.#watching.close();
    // Each child of the postmaster has a group of its own and may outlive it, busy or stopped.
    const stuck = hasProc() ? await endOrphans(pgdata) : [];
    if (stuck.length > 0) log.error({ pids: stuck }, 'processes of Postgres survive SIGKILL');
    await this.#log.drain(drainMs);
    return exit;
  }
}
