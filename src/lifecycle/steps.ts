import { elapsedMs, monotonicMs } from '../core/clock.ts';
import { inline } from '../core/errors.ts';
import type { Log } from '../core/log.ts';
import { traced } from '../telemetry/trace.ts';

/** One named part of a story. The name is its log line, its figure and its place in an error. */
export interface Step<Context> {
  readonly name: string;
  run(context: Context, signal: AbortSignal): Promise<void> | void;
  /** Takes back what `run` did, when a later step fails. Runs in reverse order; its own failure is only logged. */
  undo?(context: Context): Promise<void> | void;
}

export const step = <Context>(
  name: string,
  run: Step<Context>['run'],
  undo?: Step<Context>['undo'],
): Step<Context> => (undo === undefined ? { name, run } : { name, run, undo });

/** Steps that do not need each other: started at once, all awaited. The first failure aborts the others. */
export const together = <Context>(...steps: readonly Step<Context>[]): readonly Step<Context>[] => steps;

export type Story<Context> = readonly (Step<Context> | readonly Step<Context>[])[];

export interface Telling {
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Hears the wall time of every finished step, in milliseconds. */
  onStep(name: string, ms: number): void;
}

/** Tells a story: step after step, timing and logging each, stopping at the first failure or abort and undoing what was done.
 *  @throws what the failing step threw */
export async function tell<Context>(
  story: Story<Context>,
  context: Context,
  telling: Telling,
): Promise<void> {
  const done: Step<Context>[] = [];
  try {
    for (const part of story) {
      telling.signal.throwIfAborted();
      await tellTogether('run' in part ? [part] : part, context, telling, done);
    }
  } catch (error) {
    for (const step of done.toReversed()) await undo(step, context, telling.log);
    throw error;
  }
}

async function tellTogether<Context>(
  steps: readonly Step<Context>[],
  context: Context,
  telling: Telling,
  done: Step<Context>[],
): Promise<void> {
  const sibling = new AbortController();
  const signal = AbortSignal.any([telling.signal, sibling.signal]);
  let failure: { error: unknown } | undefined;
  const runOne = async (step: Step<Context>): Promise<void> => {
    const start = monotonicMs();
    try {
      await traced(step.name, {}, () => step.run(context, signal));
      done.push(step);
      telling.onStep(step.name, elapsedMs(start));
      telling.log.debug({ step: step.name, ms: elapsedMs(start) }, 'step done');
    } catch (error) {
      failure ??= { error };
      sibling.abort();
      // A step that failed half way may have something to take back, too.
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
    log.warn({ step: step.name }, `could not take back a step: ${inline(error)}`);
  }
}
