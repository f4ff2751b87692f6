import { CommanderError } from 'commander';
import { adviceOn, codeOf, errorCodes, inline } from '../core/errors.ts';
import { reportFailure } from '../core/report-failure.ts';
import { FileProblems } from './desired/problem.ts';

/** Says why a command failed: in lines on stderr, and with --json also as one object on stdout, behind what is there already.
 *  @param argv without the program
 *  @returns the exit code */
export function reportCommandFailure(error: unknown, argv: readonly string[]): number {
  // The parser has printed what it says.
  const isParser = error instanceof CommanderError;
  if (isParser && error.exitCode === 0) return 0;
  if (wantsJson(argv))
    process.stdout.write(`${JSON.stringify({ error: isParser ? usage(error) : errorObject(error) })}\n`);
  return isParser ? errorCodes.usage.exit : reportFailure(error, 'text');
}

/** The options are not read when the call is wrong. */
const wantsJson = (argv: readonly string[]): boolean =>
  // To psql, everything is passed.
  argv[0] !== 'psql' &&
  argv.slice(0, argv.includes('--') ? argv.indexOf('--') : undefined).includes('--json');

const usage = ({ message }: CommanderError): object => ({
  code: 'usage',
  message: message.replace(/^error: /, ''),
  hint: 'see compute-local --help',
});

const errorObject = (error: unknown): object => ({
  code: codeOf(error),
  message: inline(error),
  hint: adviceOn(error).join('; '),
  ...(error instanceof FileProblems ? { problems: error.problems } : {}),
});
