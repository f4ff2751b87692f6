import { type Linked, linked } from '../core/abort.ts';
import { elapsedMs, monotonicMs } from '../core/clock.ts';
import { explained } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { traced } from '../telemetry/trace.ts';

/** One named part of an operation. The name is used in its log line, its figure and in errors. */
export interface Step<Context> {
  readonly name: string;
  run(context: Context, signal: AbortSignal): Promise<void> | void;
  /** Rolls back what `run` did, when a later step fails. Runs in reverse order; its own failure is only logged. */
  undo?(context: Context): Promise<void> | void;
}

export const step = <Context>(
  name: string,
  run: Step<Context>['run'],
  undo?: Step<Context>['undo'],
): Step<Context> => (undo === undefined ? { name, run } : { name, run, undo });

/** Steps that are independent: started together, all awaited. The first failure aborts the others. */
export const together = <Context>(...steps: readonly Step<Context>[]): readonly Step<Context>[] => steps;

/** The step in which an error was thrown. */
const failedSteps = new WeakMap<Error, string>();

/** The name of the step that failed with this error; null when none did. */
export const failedStep = (error: unknown): string | null =>
  error instanceof Error ? (failedSteps.get(error) ?? null) : null;

export type Steps<Context> = readonly (Step<Context> | readonly Step<Context>[])[];

export interface StepsRun {
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Called with the wall time of every finished step, in milliseconds. */
  onStep(name: string, ms: number): void;
  /** Called when a step begins. */
  onBegin?(name: string): void;
}

/** Runs the steps one after the other, timing and logging each. At the first failure or abort it stops and rolls back.
 *  @throws what the failing step threw */
export async function runSteps<Context>(
  steps: Steps<Context>,
  context: Context,
  options: StepsRun,
): Promise<void> {
  const done: Step<Context>[] = [];
  // Released only at the end: a value from one step, used in a later one, may still listen to it.
  const links: Linked[] = [];
  try {
    for (const part of steps) {
      options.signal.throwIfAborted();
      const siblings = linked(options.signal);
      links.push(siblings);
      await runTogether('run' in part ? [part] : part, context, { ...options, siblings }, done);
    }
  } catch (error) {
    for (const step of done.toReversed()) await undo(step, context, options.log);
    throw error;
  } finally {
    for (const link of links) link.release();
  }
}

async function runTogether<Context>(
  steps: readonly Step<Context>[],
  context: Context,
  options: StepsRun & { readonly siblings: Linked },
  done: Step<Context>[],
): Promise<void> {
  const { signal } = options.siblings;
  let failure: { error: unknown } | undefined;
  const runOne = async (step: Step<Context>): Promise<void> => {
    const start = monotonicMs();
    options.onBegin?.(step.name);
    try {
      await traced(step.name, {}, () => step.run(context, signal));
      done.push(step);
      options.onStep(step.name, elapsedMs(start));
      options.log.debug({ step: step.name, ms: elapsedMs(start) }, 'step done');
    } catch (error) {
      if (failure === undefined && error instanceof Error) failedSteps.set(error, step.name);
      failure ??= { error };
      options.siblings.abort();
      // A step that failed halfway may also require a rollback.
      done.push(step);
    }
  };
  await Promise.all(steps.map(runOne));
  if (failure !== undefined) throw failure.error;
}

async function undo<Context>(step: Step<Context>, context: Context, log: Log): Promise<void> {
  try {
    await step.undo?.(context);
  } catch (error) {
    log.warn({ step: step.name }, `could not roll back a step: ${explained(error)}`);
  }
}
