import { ComputeError, type ErrorCode } from '../../core/errors.ts';
import { type JsonPath, showPath } from '../../spec/path.ts';

/** Something wrong in a compute.json. */
export interface Problem {
  readonly path: JsonPath;
  readonly message: string;
}

/** A place in the file; line and column from 1. */
export interface Place {
  readonly path: string;
  readonly line: number;
  readonly column: number;
}

export interface PlacedProblem extends Place {
  readonly message: string;
}

/** Everything that is wrong in a file, one line each. */
export class FileProblems extends ComputeError {
  readonly problems: readonly PlacedProblem[];

  constructor(code: ErrorCode, file: string, problems: readonly PlacedProblem[]) {
    const lines = problems.map(
      ({ line, column, path, message }) =>
        `${file}:${line}:${column}: ${path === '' ? '' : `${path}: `}${message}`,
    );
    super(code, lines.length === 1 ? (lines[0] ?? '') : `${problems.length} problems:\n${lines.join('\n')}`, {
      hint: 'correct the file; nothing was changed',
    });
    this.name = 'FileProblems';
    this.problems = problems;
  }
}

export const shownPath = (path: JsonPath): string => (path.length === 0 ? '' : showPath(path));
