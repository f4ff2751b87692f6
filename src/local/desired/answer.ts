import { writeLine } from '../../core/stderr.ts';

/** Where a command writes: its result to stdout, what it is doing to stderr. */
export interface Answer {
  readonly json: boolean;
  /** A line about what is being done, for people. */
  progress(text: string): void;
  /** The result: one object, or text. */
  result(value: object, text: string): void;
}

/** @param json the result is one object, and progress is not told */
export function answerOf(json: boolean): Answer {
  const write = (text: string): void => void process.stdout.write(`${text}\n`);
  return {
    json,
    progress: (text) => (json ? undefined : writeLine(text)),
    result: (value, text) => {
      if (json) write(JSON.stringify(value));
      else if (text !== '') write(text);
    },
  };
}
