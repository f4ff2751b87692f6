import { never } from '../core/abort.ts';
import { sleep } from '../core/clock.ts';
import { ComputeError, explained } from '../core/errors.ts';
import { explain } from '../core/failure.ts';
import type { Log } from '../core/log.ts';
import type { Status } from '../core/status.ts';
import { killedHint } from '../postgres/postgres.ts';
import type { Exit } from '../process/process.ts';
import type { Operations } from './operations.ts';
import type { ComputeState } from './state.ts';
import { failedStep } from './steps.ts';

export interface RunOptions {
  readonly state: ComputeState;
  readonly log: Log;
  readonly operations: Pick<Operations, 'start' | 'shutDown'>;
  /** Time limit for a fast shutdown of Postgres; then an immediate one follows. */
  readonly stopTimeoutMs: number;
  /** How long HTTP keeps answering after a failed start and after `/terminate`. */
  readonly exitGraceMs: number;
}

const replyMs = 300;
const terminating: readonly Status[] = ['termination_pending_fast', 'termination_pending_immediate'];

/** Runs a compute from its spec to its end.
 *  @returns the process's exit code: Postgres's, 0 after a requested stop, 1 after a failed start */
export async function runCompute(options: RunOptions): Promise<number> {
  const { state, log, operations } = options;
  const { lifecycle, stop } = state;
  const onAsked = (): void => void lifecycle.tryMove('termination_pending_fast');
  stop.asked.addEventListener('abort', onAsked, { once: true });
  if (state.spec === null && !(await firstSpec(state, log))) return end(options, 0);
  if (!lifecycle.tryMove('init')) return end(options, 0);
  try {
    await operations.start(stop.asked);
  } catch (error) {
    if (stop.asked.aborted) {
      log.info(`the start was stopped before its end: ${explained(error)}`);
      await stopUnserved(options);
      return end(options, 0);
    }
    return failedStart(options, error);
  }
  return serve(options);
}

async function firstSpec(state: ComputeState, log: Log): Promise<boolean> {
  log.info('no spec yet, waiting for POST /configure');
  state.waitedSince = new Date();
  const status = await state.lifecycle.reached(['configuration_pending', ...terminating], never);
  if (status !== 'configuration_pending') return false;
  state.specArrived();
  return true;
}

async function failedStart(options: RunOptions, error: unknown): Promise<number> {
  const { state, log, exitGraceMs } = options;
  const failure = explain(error, failedStep(error));
  log.error(`could not start the compute node: ${failure.line}`);
  state.lifecycle.tryMove('failed', failure);
  await stopUnserved(options);
  log.info(`giving the control plane ${exitGraceMs / 1000} s to collect the error before shutdown`);
  await linger(exitGraceMs, state.stop.asked);
  return end(options, 1);
}

/** After a failed start: a failing step has stopped Postgres, but what follows the last step may fail, too. */
async function stopUnserved({ state, operations }: RunOptions): Promise<void> {
  try {
    await state.postgres?.stop('immediate', { fastMs: 0 }, state.stop.escalate);
  } finally {
    await operations.shutDown(false, state.stop.escalate);
  }
}

/** Waits until Postgres ends, by itself or on request.
 *  @throws ComputeError `postgres_stuck`, with everything else shut down */
async function serve(options: RunOptions): Promise<number> {
  const { state, log, stopTimeoutMs } = options;
  const { stop, lifecycle, postgres } = state;
  if (postgres === null) return end(options, 1);
  const asked = new Promise<void>((resolve) => {
    if (stop.asked.aborted) resolve();
    else stop.asked.addEventListener('abort', () => resolve(), { once: true });
  });
  const stopped = asked.then(() => {
    log.info('stopping Postgres');
    return postgres.stop('fast', { fastMs: stopTimeoutMs, immediateMs: 4000 }, stop.escalate);
  });
  const exit = await Promise.race([postgres.exited, stopped]).catch(async (error: unknown) => {
    await options.operations.shutDown(false, stop.escalate);
    throw error;
  });
  state.postgres = null;
  log.info(`Postgres exited with ${describe(exit)}`);
  if (!stop.asked.aborted) lifecycle.tryMove('failed', explain(exitedByItself(exit, postgres.lastWords)));
  await options.operations.shutDown(true, stop.escalate);
  return end(options, exit.code ?? 1);
}

const exitedByItself = (exit: Exit, cause: Error | null): ComputeError =>
  new ComputeError('postgres_exited', `Postgres exited unexpectedly with ${describe(exit)}`, {
    ...(cause === null ? {} : { cause }),
    hint:
      exit.signal === 'SIGKILL'
        ? killedHint
        : 'the log lines with PG: show what came before; the compute exits now and has to be started again',
  });

const describe = (exit: Exit): string =>
  exit.code === null ? `signal ${exit.signal ?? 'unknown'}` : `code ${exit.code}`;

/** Sets the last status, which wakes all waiters, and keeps it readable for as long as the reason of the end requires. */
async function end(options: RunOptions, code: number): Promise<number> {
  const { state, exitGraceMs } = options;
  state.lifecycle.tryMove('terminated');
  const { mode, withoutGrace } = state.stop;
  if (mode === 'fast') await linger(exitGraceMs, withoutGrace);
  else await linger(replyMs, withoutGrace);
  return code;
}

const linger = (ms: number, signal: AbortSignal): Promise<void> => sleep(ms, signal).catch(() => {});
