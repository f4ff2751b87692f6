import { adviceOn, codeOf, errorCodes, errorText, inline } from './errors.ts';
import { type LogFormat, jsonLine } from './log.ts';
import { writeLine } from './stderr.ts';

/** Writes why a program ends: lines with `Error:`, `Hint:` and `Code:`, or one object.
 *  @returns the exit code */
export function reportFailure(error: unknown, format: LogFormat): number {
  const code = codeOf(error);
  const { exit } = errorCodes[code];
  if (format === 'text') for (const line of errorText(error).split('\n')) writeLine(line);
  else {
    const fields = { error_code: code, hint: adviceOn(error).join('; '), exit_code: exit };
    writeLine(jsonLine('fatal', fields, inline(error)));
  }
  return exit;
}
