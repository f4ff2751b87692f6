import { ComputeError, errorCodes, inline } from './errors.ts';
import { type LogFormat, jsonLine } from './log.ts';
import { writeLine } from './stderr.ts';

/** Writes why a program ends: `Error:` and `Hint:` lines, or one object.
 *  @returns the exit code */
export function reportFailure(error: unknown, format: LogFormat): number {
  const hints: string[] = [];
  for (let at = error; at instanceof Error; at = at.cause) {
    if (at instanceof ComputeError && at.hint !== undefined) hints.push(at.hint);
  }
  const code = error instanceof ComputeError ? error.code : null;
  const exit = code === null ? 1 : errorCodes[code].exit;
  if (format === 'json') {
    const [hint] = hints;
    writeLine(jsonLine('fatal', { code: code ?? undefined, hint, exit_code: exit }, inline(error)));
    return exit;
  }
  for (const line of [`Error: ${inline(error)}`, ...hints.map((hint) => `Hint: ${hint}`)]) writeLine(line);
  return exit;
}
