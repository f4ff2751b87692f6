import { type ErrorCode, adviceOn, causesOf, codeOf, inline, messageOf, multiline } from './errors.ts';
import { sqlStateOf } from './server-words.ts';

/** What PostgreSQL itself wrote last about its end; the cause of the error that reports the end. */
export class LastWords extends Error {
  readonly sqlstate: string | null;

  constructor(message: string, sqlstate: string | null) {
    super(message);
    this.name = 'LastWords';
    this.sqlstate = sqlstate;
  }
}

/** Why the compute is not as it was asked to be: the parts of `error` in `/status`, for programs. */
export interface Failure {
  /** One of `errorCodes`. */
  readonly code: ErrorCode;
  /** The step of the operation that failed; null outside of the steps. */
  readonly step: string | null;
  /** The error code of the first server in the chain of causes that gave one. */
  readonly sqlstate: string | null;
  /** The last FATAL or PANIC message of this compute's PostgreSQL. */
  readonly postgres: string | null;
  /** What to do. */
  readonly hint: string | null;
  /** RFC 3339, UTC. */
  readonly since: string;
}

/** A failure with the two texts for people. */
export interface ExplainedFailure extends Failure {
  /** Several lines: message, causes, and what is known beside them. The form of `error` in `/status`. */
  readonly text: string;
  /** One line, for the log. */
  readonly line: string;
}

/** Puts together all that is known about a failure.
 *  @param step the step that failed, if it was one */
export function explain(error: unknown, step: string | null = null): ExplainedFailure {
  const causes = causesOf(error);
  const code = codeOf(error);
  const words = causes.find((one) => one instanceof LastWords);
  const sqlstate = causes.map(stateOf).find((state) => state !== null) ?? null;
  const postgres = words === undefined ? null : messageOf(words);
  const advice = adviceOn(error);
  const hint = advice.join('; ');
  const parts = { code, step, sqlstate, postgres, hint, since: new Date().toISOString() };
  const known = [
    ...advice.map((hint) => `Hint: ${hint}`),
    ...(step === null ? [] : [`Step: ${step}`]),
    ...(sqlstate === null ? [] : [`SQLSTATE: ${sqlstate}`]),
    `Code: ${code}`,
  ];
  return {
    ...parts,
    text: `${multiline(error)}\n\n${known.join('\n')}`,
    line: `${inline(error)} (HINT: ${hint})`,
  };
}

const stateOf = (error: unknown): string | null =>
  error instanceof LastWords ? error.sqlstate : sqlStateOf(error);

/** Without the texts: the form of `failure` in `/status`. */
export const partsOf = ({ text: _text, line: _line, ...parts }: ExplainedFailure): Failure => parts;
