import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { statSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { ComputeError } from '../core/errors.ts';
import { environmentForPrograms } from './environment.ts';
import { splitLines } from './lines.ts';
import { signalChild } from './signal.ts';

export interface Exit {
  /** Null when a signal ended the process. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

type Stdio = 'ignore' | 'inherit' | 'pipe' | number;

export interface ProcessOptions {
  /** A path, or a name that is searched for in the PATH of `env`. */
  readonly command: string;
  /** What the program finds as its own name, when that is not the command. */
  readonly argv0?: string;
  /** Name for messages. Default: the command. */
  readonly name?: string;
  readonly args: readonly string[];
  /** The whole environment; what `environmentForPrograms` leaves of ours when left out. */
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  /** Defaults: stdin `ignore`, stdout and stderr `pipe`. A number is a file descriptor. The caller must read the pipes. */
  readonly stdin?: Stdio;
  readonly stdout?: Stdio;
  readonly stderr?: Stdio;
  /** Gets stderr line by line; then the caller must not read `stderr` itself. */
  readonly onStderrLine?: (line: string) => void;
  /** True: the process gets its own session and process group, so that a Ctrl-C in the terminal does not reach it. */
  readonly detached?: boolean;
}

export interface RunningProcess {
  /** Short name for messages. */
  readonly name: string;
  readonly pid: number;
  readonly stdin: Writable | null;
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;
  /** Null while the process runs. */
  readonly exit: Exit | null;
  /** Resolves when the process has ended and was reaped; its pipes may still hold output. Never rejects. */
  readonly exited: Promise<Exit>;
  /** Like `exited`, but once all pipes have ended too. A grandchild that keeps a pipe open delays it. */
  readonly closed: Promise<Exit>;
  /** Sends a signal, with `group` to the whole process group (needs `detached`). False when the process has ended, or
   *  runs as another user now (sudo). */
  kill(signal: NodeJS.Signals, options?: { readonly group?: boolean }): boolean;
}

/** Starts one child process.
 *  @throws ComputeError `program_missing` naming the program, when it cannot be started at all */
export async function startProcess(options: ProcessOptions): Promise<RunningProcess> {
  const child = await spawned(options);
  let exit: Exit | null = null;
  const exited = new Promise<Exit>((resolve) => {
    child.once('exit', (code, signal) => {
      exit = { code, signal };
      resolve(exit);
    });
  });
  const closed = new Promise<Exit>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.on('error', () => {}); // `closed` reports the end of a pipe
  const { onStderrLine } = options;
  if (onStderrLine !== undefined && child.stderr !== null) {
    const lines = splitLines(onStderrLine);
    child.stderr.on('data', (chunk: Buffer) => lines.push(chunk)).once('close', () => lines.end());
  }
  const pid = child.pid as number;
  return {
    name: options.name ?? options.command,
    pid,
    stdin: child.stdin,
    stdout: child.stdout,
    stderr: child.stderr,
    get exit() {
      return exit;
    },
    exited,
    closed,
    kill(signal, { group = false } = {}) {
      if (exit !== null) return false; // reaped: another process may have this pid now
      return signalChild(group ? -pid : pid, signal);
    },
  };
}

function spawned(options: ProcessOptions): Promise<ChildProcess> {
  const spawnOptions: SpawnOptions = {
    stdio: [options.stdin ?? 'ignore', options.stdout ?? 'pipe', options.stderr ?? 'pipe'],
    detached: options.detached ?? false,
    env: options.env ?? environmentForPrograms(process.env),
    ...(options.argv0 === undefined ? {} : { argv0: options.argv0 }),
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  };
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => reject(cannotStart(options, error as NodeJS.ErrnoException));
    try {
      const child = spawn(options.command, options.args, spawnOptions);
      child.once('spawn', () => {
        child.off('error', fail);
        child.on('error', () => {}); // a later kill or send failed; both report their errors themselves
        resolve(child);
      });
      child.once('error', fail);
    } catch (error) {
      fail(error);
    }
  });
}

function cannotStart({ command, cwd }: ProcessOptions, cause: NodeJS.ErrnoException): ComputeError {
  // ENOENT means a missing program or a missing working directory. The message must name the right one.
  const noDirectory = cwd !== undefined && statSync(cwd, { throwIfNoEntry: false }) === undefined;
  const why = noDirectory ? `its working directory ${cwd} does not exist` : (cause.code ?? cause.message);
  const hint = hints[cause.code ?? ''];
  return new ComputeError('program_missing', `cannot start ${command}: ${why}`, {
    cause,
    ...(hint === undefined || noDirectory ? {} : { hint }),
  });
}

const hints: Record<string, string> = {
  ENOENT: 'install the program, or give its path',
  EACCES: 'the program and all directories above it must be readable and executable for that user',
};
