import { ComputeError, adviceOn, codeOf, errorCodes, inline } from '../../core/errors.ts';
import { writeLine } from '../../core/stderr.ts';
import { FileProblems } from './problem.ts';

/** Where a command writes: its result to stdout, what it is doing to stderr. */
export interface Answer {
  readonly json: boolean;
  /** A line about what is being done, for people. */
  progress(text: string): void;
  /** The result: one object, or text. */
  result(value: object, text: string): void;
}

/** Runs a command. With `json`, what goes wrong is an object on stdout, too.
 *  @returns the exit code
 *  @throws what `work` threw, without `json` */
export async function answered(json: boolean, work: (answer: Answer) => Promise<number>): Promise<number> {
  const write = (text: string): void => void process.stdout.write(`${text}\n`);
  const answer: Answer = {
    json,
    progress: (text) => (json ? undefined : writeLine(text)),
    result: (value, text) => {
      if (json) write(JSON.stringify(value));
      else if (text !== '') write(text);
    },
  };
  try {
    return await work(answer);
  } catch (error) {
    if (!json || !(error instanceof ComputeError)) throw error;
    write(JSON.stringify({ error: errorObject(error) }));
    return errorCodes[codeOf(error)].exit;
  }
}

const errorObject = (error: ComputeError): object => ({
  code: codeOf(error),
  message: inline(error),
  hint: adviceOn(error).join('; '),
  ...(error instanceof FileProblems ? { problems: error.problems } : {}),
});
