import { withDeadline } from '../core/clock.ts';
import { ComputeError } from '../core/errors.ts';
import type { LastWords } from '../core/failure.ts';
import type { Log } from '../core/log.ts';
import type { Secret } from '../core/secret.ts';
import { inCgroup } from '../process/cgroup.ts';
import { collectedLines } from './collected-log.ts';
import { ServerLog } from './last-words.ts';
import { endOrphans } from './pgdata-processes.ts';
import type { PostgresBin } from './postgres-bin.ts';
import type { LogSink } from './log-sink.ts';
import { type PostmasterLog, followPostmasterLog } from './postmaster-log.ts';
import { type Exit, type RunningProcess, startProcess } from '../process/process.ts';
import { hasProc } from '../process/proc.ts';
import { type PidFileWatch, untilReady, watchPgdata } from './ready.ts';
import { type EndStep, endChild } from '../process/end.ts';

export interface PostgresOptions {
  readonly bin: PostgresBin;
  /** Absolute, no symbolic links. */
  readonly pgdata: string;
  /** The whole environment, without the token. */
  readonly env: NodeJS.ProcessEnv;
  /** Becomes `NEON_AUTH_TOKEN`. */
  readonly authToken: Secret | null;
  /** Memory control group to start it in, by `cgexec`; null for none. */
  readonly cgroup: string | null;
  readonly log: Log;
  /** Gets its log lines, and what its programs print, such as `archive_command`. Default: stderr, with the prefix `PG:`. */
  readonly sink?: LogSink;
  /** `log_line_prefix`, to find the SQLSTATE in its log; left out: the server's default. */
  readonly logPrefix?: string | null;
}

export type StopMode = 'fast' | 'immediate';

export interface StopLimits {
  /** Milliseconds for a fast shutdown before an immediate one follows. */
  readonly fastMs: number;
  /** Milliseconds for an immediate shutdown before SIGKILL. Default 5000. */
  readonly immediateMs?: number;
}

const drainMs = 1000;
const killMs = 5000;

/** Starts the postmaster in its own process group and returns at once; `waitReady` waits. */
export async function startPostgres(options: PostgresOptions): Promise<Postgres> {
  const { bin, pgdata, authToken, cgroup } = options;
  const watching = watchPgdata(pgdata);
  try {
    const child = await startProcess({
      ...inCgroup(bin.path, ['-D', pgdata], cgroup),
      env: authToken === null ? options.env : { ...options.env, NEON_AUTH_TOKEN: authToken.reveal() },
      cwd: pgdata, // Postgres changes to it anyway; this way `findPostgresOf` finds it from the first moment
      detached: true,
    });
    return new Postgres(child, options, watching);
  } catch (error) {
    watching.close();
    throw error;
  }
}

/** One server. It has ended when `exited` resolves: the postmaster is reaped, its children have ended, its log is written. */
export class Postgres {
  readonly pid: number;
  /** Never rejects. */
  readonly exited: Promise<Exit>;
  readonly #child: RunningProcess;
  readonly #options: PostgresOptions;
  readonly #watching: PidFileWatch;
  readonly #logs: readonly PostmasterLog[];
  readonly #said: ServerLog;
  /** Milliseconds since 1970. */
  readonly #startedMs = Date.now();
  readonly #escalate = new AbortController();
  #stopping: Promise<Exit> | null = null;

  constructor(child: RunningProcess, options: PostgresOptions, watching: PidFileWatch) {
    if (child.stdout === null || child.stderr === null)
      throw new ComputeError('internal', 'the output of Postgres is not captured');
    this.pid = child.pid;
    this.#child = child;
    this.#options = options;
    this.#watching = watching;
    // Its stdout is not ours either: whoever has that could empty root's log file, or wait for a reader that has stopped.
    const { sink } = options;
    this.#said = new ServerLog(options.logPrefix);
    this.#logs = [
      followPostmasterLog(child.stdout, { sink, pid: child.pid }),
      followPostmasterLog(child.stderr, { sink, pid: child.pid, onLine: (line) => this.#said.add(line) }),
    ];
    this.exited = this.#afterExit();
  }

  get running(): boolean {
    return this.#child.exit === null;
  }

  /** Null while the postmaster runs. */
  get exit(): Exit | null {
    return this.#child.exit;
  }

  /** What it wrote that explains its end; null without any. Complete once `exited` has resolved. */
  get lastWords(): LastWords | null {
    return this.#said.last('serving');
  }

  /** Resolves when `postmaster.pid` says `ready`. On a failure, or after `limitMs`, Postgres is stopped and awaited first.
   *  When `signal` aborts, Postgres still runs and the caller must stop it.
   *  @throws ComputeError `postgres_start` */
  async waitReady(limitMs: number, signal: AbortSignal): Promise<void> {
    try {
      await withDeadline('the start of Postgres', limitMs, signal, (limited) =>
        untilReady(this.#child, this.#options.pgdata, this.#watching, limited),
      );
    } catch (error) {
      if (signal.aborted) throw error;
      const endedBy = this.#child.exit?.signal ?? null;
      // Resolves when its log is read to the end.
      await this.stop('immediate', { fastMs: 0 }, signal);
      throw notStarted(error, this.#said.last('starting'), endedBy);
    } finally {
      this.#watching.close();
    }
  }

  /** Makes Postgres read its configuration files again, and does not wait for it. False when Postgres has ended. */
  reload(): boolean {
    return this.#child.kill('SIGHUP');
  }

  /** Stops Postgres and resolves with its exit when all its processes have ended. A fast shutdown escalates to an immediate
   *  one after `limits.fastMs`, or at once when `signal` aborts or another caller asks for `immediate`; then to SIGKILL.
   *  @throws ComputeError `postgres_stuck` when it still runs 5000 ms after SIGKILL */
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
    // Each child of the postmaster has its own process group and may still run after the postmaster has ended.
    const stuck = hasProc() ? await endOrphans(pgdata) : [];
    if (stuck.length > 0) log.error({ pids: stuck }, 'Postgres processes still run after SIGKILL');
    await Promise.all(this.#logs.map((log) => log.drain(drainMs)));
    for (const line of collectedLines(pgdata, this.#startedMs)) this.#said.add(line, false);
    return exit;
  }
}

/** @param words what Postgres said last; without them the log is all there is
 *  @param endedBy the signal that has ended it, if it was one */
function notStarted(error: unknown, words: LastWords | null, endedBy: NodeJS.Signals | null): unknown {
  if (!(error instanceof ComputeError)) return error;
  const inTime = error.code !== 'deadline';
  if (inTime && error.code !== 'postgres_start') return error;
  // Who was killed did not say why.
  if (words !== null && !inTime) words.cause = error;
  if (words !== null && endedBy === 'SIGKILL') words.cause = error.cause;
  return new ComputeError(
    'postgres_start',
    inTime ? error.message : 'timed out while waiting for Postgres to start',
    {
      cause: words ?? error.cause ?? (inTime ? undefined : error),
      hint: hintFor(inTime, endedBy),
    },
  );
}

export const killedHint =
  'it was killed, mostly by the kernel because memory ran out: look at the kernel log (dmesg), then give it more memory or lower its settings';

function hintFor(inTime: boolean, endedBy: NodeJS.Signals | null): string {
  if (!inTime)
    return 'the log lines with PG: show how far Postgres came; allow it more time with --start-timeout if it was still working';
  if (endedBy === 'SIGKILL') return killedHint;
  return 'correct what PostgreSQL names, in the spec or on this machine, and start again; the log lines with PG: hold the rest';
}
