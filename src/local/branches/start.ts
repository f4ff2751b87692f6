import { closeSync, existsSync, fstatSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { sleepOptions } from '../../config/options/sleep.ts';
import { ComputeError, isErrorCode } from '../../core/errors.ts';
import { never } from '../../core/abort.ts';
import { monotonicMs, within } from '../../core/clock.ts';
import { poll } from '../../core/poll.ts';
import { ownProgram } from '../../process/own-program.ts';
import { type RunningProcess, startProcess } from '../../process/process.ts';
import { environmentForOwnPrograms } from '../environment.ts';
import { showCopied } from '../copied.ts';
import { readPhase, serves } from '../phase.ts';
import { openLog, prepareDirs } from '../prepare.ts';
import type { Report } from '../report.ts';
import type { Started } from '../started.ts';
import { Interrupted } from './interrupt.ts';
import type { Copied } from '../storage/copying.ts';
import { type LocalDir, type LocalState, commandFor, stateOf } from '../state.ts';

export interface RunOptions extends Started {
  readonly port: number | null;
  readonly httpPort: number | null;
  readonly newPorts: boolean;
  readonly listenAll: boolean;
  readonly keep: number | null;
  readonly keepAtMost: number | null;
}

/** A start without options. */
export const asBefore: RunOptions = {
  ...{ pgBinDir: null, port: null, httpPort: null, newPorts: false, listenAll: false },
  ...{ compactAt: 256 * 1024 * 1024, warnFree: null, stopFree: null, keep: null, keepAtMost: null },
  ...{ suspendAfter: sleepOptions.suspendAfter.fallback, suspendHardAfter: 0, suspendIgnore: '' },
  prepareAtMost: sleepOptions.prepareAtMost.fallback,
  ...{ tlsCert: null, tlsKey: null },
};

/** Those of its last start. Earlier versions noted two of them. */
export const asStarted = ({ listenAll = false, front = true, started }: LocalState): RunOptions => ({
  ...asBefore,
  ...(front ? {} : { suspendAfter: 0 }),
  ...started,
  listenAll,
});

/** `up` gives its children 600 seconds. */
const readyMs = 700_000;
/** Longer than a stop of Postgres may take. */
const stopMs = 140_000;
const lookMs = 25;
/** From the lock of an `up` to its pid file, and from the end of one that was waited for. */
const otherMs = 3000;

/** Starts `up` of a directory in the background, unless it runs, and waits until it is ready.
 *  @param signal with `Interrupted` as the reason, it ends what was started here
 *  @returns the state, with the ports that it really has
 *  @throws ComputeError with the reason of `up`; `deadline` */
export async function startInBackground(
  dir: LocalDir,
  options: RunOptions,
  report: Report,
  signal: AbortSignal,
): Promise<LocalState> {
  await poll(() => (readPhase(dir.upPid)?.phase === 'stopping' ? null : true), waiting, signal);
  const started = readPhase(dir.upPid) === null ? await spawnUp(dir, options) : null;
  let aloneSinceMs = monotonicMs();
  const seen = { bytes: started?.from ?? 0 };
  const look = (): true | null => {
    if (!existsSync(dir.root))
      throw new ComputeError('not_found', `${dir.root} was deleted while the compute was starting`, {
        hint: 'another command has deleted it, or its time was over: give a longer one with --ttl',
      });
    if (started !== null) showProgress(started, seen, report);
    const phase = readPhase(dir.upPid)?.phase ?? null;
    if (phase !== null && serves(phase)) return true;
    if (phase !== null) aloneSinceMs = monotonicMs();
    const failure =
      started === null ? ended(dir) : started.child.exit === null ? null : failureOf(dir, started);
    // Another command was faster: its `up` is waited for.
    const isOther = failure?.code === 'conflict' && monotonicMs() - aloneSinceMs < otherMs;
    if (failure !== null && !isOther) throw failure;
    return null;
  };
  const found = await poll(look, waiting, signal).catch(async (error: unknown) => {
    if (started === null || !(signal.reason instanceof Interrupted)) throw error;
    report.progress('Interrupted. Stopping what was starting ...', '');
    started.child.kill('SIGTERM');
    await within(started.child.exited, stopMs, never);
    throw signal.reason;
  });
  if (found !== null) return stateOf(dir);
  throw new ComputeError('deadline', `the compute in ${dir.root} was not ready within ${readyMs / 1000} s`, {
    hint: `it may still become ready: see ${dir.log}, or stop it with: ${commandFor(dir, 'stop')}`,
  });
}

const waiting = { everyMs: lookMs, limitMs: readyMs };

interface Spawned {
  readonly child: RunningProcess;
  readonly log: string;
  /** Where its part of the log begins, in bytes. */
  readonly from: number;
}

async function spawnUp(dir: LocalDir, options: RunOptions): Promise<Spawned> {
  prepareDirs(dir);
  const log = openLog(dir, 'up');
  try {
    const program = ownProgram('compute-local');
    const from = fstatSync(log.fd).size;
    const child = await startProcess({
      ...program,
      args: [...program.args, 'up', `--dir=${dir.root}`, '--json', ...argumentsOf(options)],
      env: environmentForOwnPrograms(process.env),
      cwd: '/',
      stdin: 'ignore',
      stdout: log.fd,
      stderr: log.fd,
      // It outlives this command, and its terminal.
      detached: true,
    });
    return { child, log: log.path, from };
  } finally {
    closeSync(log.fd);
  }
}

/** As it is noted, and for a start, which has another working directory. */
export const absolute = (path: string | null = null): string | null => path && resolve(path);

const milliseconds = (seconds: number): string => `${Math.round(seconds * 1000)}ms`;

function argumentsOf(options: RunOptions): string[] {
  const given = (flag: string, value: string | number | null): string[] =>
    value === null ? [] : [`--${flag}=${value}`];
  return [
    ...given('pg-bin-dir', absolute(options.pgBinDir)),
    ...given('port', options.port),
    ...given('http-port', options.httpPort),
    ...given('compact-at', options.compactAt),
    ...given('warn-free', options.warnFree),
    ...given('stop-free', options.stopFree),
    ...given('keep', options.keep === null ? null : `${options.keep}s`),
    ...given('keep-at-most', options.keepAtMost),
    ...given('suspend-after', milliseconds(options.suspendAfter)),
    ...given('suspend-hard-after', milliseconds(options.suspendHardAfter)),
    ...given('prepare-at-most', options.prepareAtMost),
    ...given('suspend-ignore', options.suspendIgnore === '' ? null : options.suspendIgnore),
    ...given('tls-cert', absolute(options.tlsCert)),
    ...given('tls-key', absolute(options.tlsKey)),
    ...(options.newPorts ? ['--new-ports'] : []),
    ...(options.listenAll ? ['--listen-all'] : []),
  ];
}

/** Nothing of a log that is gone. */
const textSince = (path: string, bytes: number): string =>
  existsSync(path) ? readFileSync(path).subarray(bytes).toString() : '';

/** What `up` says is its progress is this command's. */
function showProgress({ log }: Spawned, seen: { bytes: number }, report: Report): void {
  const text = textSince(log, seen.bytes);
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  seen.bytes += Buffer.byteLength(whole);
  for (const line of whole.split('\n').filter((one) => one.startsWith('{'))) {
    const event = parsed(line);
    if (event?.event === 'progress') report.progress(String(event.what), String(event.done));
    if (event !== null && isCopied(event)) showCopied(event, report);
  }
}

interface Event {
  readonly event?: unknown;
  readonly what?: unknown;
  readonly done?: unknown;
  readonly bytes?: unknown;
  readonly total_bytes?: unknown;
  readonly ms?: unknown;
}

const isCopied = (event: Event): event is Copied & Event =>
  event.event === 'copying' && [event.bytes, event.total_bytes, event.ms].every(Number.isFinite);

function parsed(line: string): Event | null {
  try {
    return JSON.parse(line) as Event;
  } catch {
    return null;
  }
}

/** The end of `up`, as it was reported: `Error:`, `Hint:` and `Code:`. */
function failureOf(dir: LocalDir, { log, from }: Spawned): ComputeError {
  const lines = textSince(log, from).split('\n');
  const last = lines.slice(
    Math.max(
      0,
      lines.findLastIndex((line) => line.startsWith('Error: ')),
    ),
  );
  const said = (word: string): string[] =>
    last.flatMap((line) => (line.startsWith(`${word}: `) ? [line.slice(word.length + 2)] : []));
  const [message] = said('Error');
  if (message === undefined) return ended(dir);
  const [code = 'usage'] = said('Code').filter(isErrorCode);
  const hint = said('Hint').join('; ');
  return new ComputeError(code, message, hint === '' ? {} : { hint });
}

const ended = (dir: LocalDir): ComputeError =>
  new ComputeError('conflict', `the compute in ${dir.root} has ended while it was starting`, {
    hint: `see its logs: ${dir.log}`,
  });
