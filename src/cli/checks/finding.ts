import { ComputeError, hintOf, inline } from '../../core/errors.ts';

export interface Finding {
  /** Where, what and why. */
  readonly text: string;
  /** What to do about it. */
  readonly hint?: string;
}

/** What `compute_ctl check` found in one part of the config. */
export interface Findings {
  /** A start fails, or the compute cannot be used. */
  readonly errors: readonly Finding[];
  /** The compute starts, but not as the config asks. */
  readonly warnings: readonly Finding[];
  /** What could not be looked at here. */
  readonly unchecked: readonly string[];
}

const none: Findings = { errors: [], warnings: [], unchecked: [] };

export const errors = (...found: readonly Finding[]): Findings => ({ ...none, errors: found });
export const warnings = (...found: readonly Finding[]): Findings => ({ ...none, warnings: found });
export const unchecked = (...what: readonly string[]): Findings => ({ ...none, unchecked: what });

export const together = (all: readonly Findings[]): Findings => ({
  errors: all.flatMap((one) => one.errors),
  warnings: all.flatMap((one) => one.warnings),
  unchecked: all.flatMap((one) => one.unchecked),
});

/** What a failure says. Other failures than ours are thrown on.
 *  @param where put before its message */
export function findingOf(error: unknown, where = ''): Finding {
  if (!(error instanceof ComputeError)) throw error;
  const hint = hintOf(error);
  return { text: `${where}${inline(error)}`, ...(hint === null ? {} : { hint }) };
}

/** An error when `work` throws one of ours. */
export async function tried(work: () => unknown, where = ''): Promise<Findings> {
  try {
    await work();
    return none;
  } catch (error) {
    return errors(findingOf(error, where));
  }
}
