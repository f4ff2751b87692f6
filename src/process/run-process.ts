import type { Readable } from 'node:stream';
import { raceAbort, withDeadline } from '../core/clock.ts';
import { ComputeError } from '../core/errors.ts';
import { type Exit, type ProcessOptions, type RunningProcess, startProcess } from './process.ts';
import { signalChild } from './signal.ts';
import { endChild } from './end.ts';

export interface RunOptions extends Pick<ProcessOptions, 'command' | 'argv0' | 'args' | 'env' | 'cwd'> {
  /** Milliseconds after which the command is killed. */
  readonly limitMs: number;
  /** Limit for stdout and for stderr, each; the rest is dropped. Default 1 MiB. */
  readonly maxBytes?: number;
  readonly onStderrLine?: (line: string) => void;
}

export interface RunResult extends Exit {
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a short command to its end and returns its output and exit code. When the time is up or `signal` aborts, the
 *  command's process group is killed and the command is awaited.
 *  @throws ComputeError `deadline` naming the command; `program_missing` when it cannot be started; `process_stuck` when
 *  it cannot be killed (it waits for a disk, or became another user's) */
export async function runProcess(options: RunOptions, signal: AbortSignal): Promise<RunResult> {
  signal.throwIfAborted();
  const child = await startProcess({ ...options, detached: true });
  const maxBytes = options.maxBytes ?? 1024 * 1024;
  const stdout = collect(child.stdout, maxBytes);
  const stderr = collect(child.stderr, maxBytes);
  try {
    const exit = await withDeadline(options.command, options.limitMs, signal, (limited) =>
      raceAbort(child.closed, limited),
    );
    return { ...exit, stdout: stdout(), stderr: stderr() };
  } catch (error) {
    // Also when the command itself has ended: a process of its group may still hold the pipes.
    signalChild(-child.pid, 'SIGKILL');
    await kill(child, signal, error);
    throw error;
  } finally {
    child.stdout?.destroy();
    child.stderr?.destroy();
  }
}

/** @throws ComputeError `process_stuck` with the reason for the kill as its cause: somebody must look after that process */
async function kill(child: RunningProcess, signal: AbortSignal, why: unknown): Promise<void> {
  try {
    await endChild(child, [{ signal: 'SIGKILL', graceMs: 5000 }], signal);
  } catch (error) {
    if (!(error instanceof ComputeError)) throw error;
    throw new ComputeError(error.code, error.message, {
      cause: why,
      ...(error.hint === undefined ? {} : { hint: error.hint }),
    });
  }
}

/** Like `runProcess`, but an exit code other than 0 is an error too.
 *  @throws ComputeError `internal` with the end of stderr */
export async function runOk(options: RunOptions, signal: AbortSignal): Promise<RunResult> {
  const result = await runProcess(options, signal);
  if (result.code === 0) return result;
  const how = result.code === null ? `was ended by ${result.signal}` : `exited with code ${result.code}`;
  const said = result.stderr.trim().slice(-2000);
  throw new ComputeError('internal', `${options.command} ${how}${said === '' ? '' : `: ${said}`}`);
}

function collect(stream: Readable | null, maxBytes: number): () => string {
  const chunks: Buffer[] = [];
  let size = 0;
  stream?.on('data', (chunk: Buffer) => {
    const room = maxBytes - size;
    if (room <= 0) return;
    chunks.push(chunk.subarray(0, room));
    size += Math.min(room, chunk.length);
  });
  return () => Buffer.concat(chunks).toString('utf8');
}
