import { ComputeError, hintOf, inline } from '../../core/errors.ts';
import type { FieldProblem } from './model.ts';

/** What was asked for cannot be done, and which field that is about. */
export class FieldProblems extends ComputeError {
  readonly problems: readonly FieldProblem[];

  constructor(problems: readonly FieldProblem[]) {
    super('usage', problems.map(({ path, message }) => `${path}: ${message}`).join('; '), {
      hint: 'correct it and try again; nothing was changed',
    });
    this.name = 'FieldProblems';
    this.problems = problems;
  }
}

export const pathOf = (field: string): string => `fields.${field}`;

/** With what to do, since both stand at the field. */
export function problemOf(field: string, error: unknown): FieldProblem {
  const hint = hintOf(error);
  return { path: pathOf(field), message: `${inline(error)}${hint === null ? '' : `: ${hint}`}` };
}
