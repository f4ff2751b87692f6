import { type ErrorCode, errorCodes } from './error-codes.ts';
import { wordsAfterMessage } from './server-words.ts';
import { systemCode, systemHint } from './system-hints.ts';
import { systemWords } from './system-words.ts';

export { type ErrorCode, errorCodes, isErrorCode } from './error-codes.ts';

/** The base of every expected failure. `message` says what failed and where; `hint` says what to do about it. */
export class ComputeError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options: { cause?: unknown; hint?: string } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ComputeError';
    this.code = code;
    this.hint = options.hint;
  }
}

/** A text for any thrown value, also one that is not an Error or has no message. With what a PostgreSQL server adds to its
 *  message: which objects are in the way, and what to do. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return error.errors.map(messageOf).join('; ');
  if (!(error instanceof Error)) return String(error);
  return systemWords(error) ?? (error.message === '' ? error.name : error.message) + wordsAfterMessage(error);
}

/** From the outermost error to its last cause; cycles end the walk. */
export function causesOf(error: unknown): unknown[] {
  const seen = new Set<unknown>();
  for (let current = error; current !== undefined && current !== null && !seen.has(current);) {
    seen.add(current);
    current = current instanceof Error ? current.cause : undefined;
  }
  return [...seen];
}

/** Their messages. A file that an outer one names is not named again. */
export function causeChain(error: unknown): string[] {
  let said = '';
  return causesOf(error).map((one) => {
    const { path = '' } = one instanceof Error ? (one as NodeJS.ErrnoException) : {};
    const message = messageOf(one);
    const shown = path !== '' && said.includes(path) ? message.replace(`: ${path}`, '') : message;
    said += shown;
    return shown;
  });
}

/** One line: `outer: cause: cause`. For what programs read, and where the hints follow elsewhere. */
export const inline = (error: unknown): string => causeChain(error).join(': ');

/** What to do about it: the hints from the outermost error to its last cause, each once. Where none has one, that for the
 *  error of the operating system. */
export function hintsOf(error: unknown): string[] {
  const causes = causesOf(error);
  const own = causes.map((one) => (one instanceof ComputeError ? (one.hint ?? null) : null));
  const hints = own.some((hint) => hint !== null) ? own : causes.map(systemHint);
  return [...new Set(hints)].filter((hint) => hint !== null);
}

/** The hints on one line; null without any. */
export const hintOf = (error: unknown): string | null => hintsOf(error).join('; ') || null;

/** The same, for the end of an operation or a program, where somebody must do something: what the runbook says about the code,
 *  when nothing says more about the case. */
export function adviceOn(error: unknown): string[] {
  const hints = hintsOf(error);
  return hints.length > 0 ? hints : [errorCodes[codeOf(error)].act];
}

/** One line for people: `outer: cause: cause (HINT: what to do)`. The form of every log line about a failure. */
export function explained(error: unknown): string {
  const hint = hintOf(error);
  return hint === null ? inline(error) : `${inline(error)} (HINT: ${hint})`;
}

/** The code of the outermost error that has one; `system` for a bare error of the operating system. */
export function codeOf(error: unknown): ErrorCode {
  const causes = causesOf(error);
  const own = causes.find((one) => one instanceof ComputeError);
  return own?.code ?? (causes.some((one) => systemCode(one) !== null) ? 'system' : 'internal');
}

/** Several lines, for the end of a program: what failed, a line for each hint, and the code, to look it up. */
export function errorText(error: unknown): string {
  const code = codeOf(error);
  const hints = adviceOn(error).map((hint) => `Hint: ${hint}`);
  // The message of a usage error is all there is to know.
  return [
    `Error: ${withLists(causeChain(error))}`,
    ...hints,
    ...(code === 'usage' ? [] : [`Code: ${code}`]),
  ].join('\n');
}

/** A list, such as that of the problems of a spec, begins on a line of its own. */
const withLists = (messages: readonly string[]): string =>
  messages
    .map((one, at) => (at > 0 && one.includes('\n') ? `\n${one}` : one).replaceAll('\n', '\n    '))
    .join(': ')
    .replaceAll(': \n', ':\n');

/** Several lines, the beginning of `error` in `/status`: the outer message, a blank line, `Caused by:` and the indented causes. */
export function multiline(error: unknown): string {
  const [outer = 'unknown error', ...causes] = causeChain(error);
  if (causes.length === 0) return outer;
  const lines = causes.map((cause, at) => (causes.length === 1 ? `    ${cause}` : `    ${at}: ${cause}`));
  return [outer, '', 'Caused by:', ...lines].join('\n');
}

export const isAbort = (error: unknown): boolean => error instanceof Error && error.name === 'AbortError';
