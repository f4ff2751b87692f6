import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ComputeError, isErrorCode } from '../core/errors.ts';
import type { LocalDir } from './state.ts';

/** The reason why compute_ctl exited. It logs that when it exits, and this shows it, so that nobody has to search the log. */
export function withReason({ log }: LocalDir, error: unknown): unknown {
  if (!(error instanceof ComputeError) || error.hint !== undefined) return error;
  const path = join(log, 'compute_ctl.log');
  // It may have ended before its first line.
  if (!existsSync(path)) return error;
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n').slice(-10);
  const last = lines.slice(
    Math.max(
      0,
      lines.findLastIndex((line) => line.startsWith('Error: ')),
    ),
  );
  const said = (word: string): string[] =>
    last.flatMap((line) => (line.startsWith(`${word}: `) ? [line.slice(word.length + 2)] : []));
  const [code = error.code] = said('Code').filter(isErrorCode);
  return new ComputeError(code, error.message, {
    cause: error.cause ?? said('Error')[0],
    hint: [...said('Hint'), `see its log: ${path}`].join('; '),
  });
}
