import { StringDecoder } from 'node:string_decoder';

export const maxLineChars = 64 * 1024;

export interface LineSplitter {
  push(chunk: Buffer): void;
  /** Emits an unfinished last line. */
  end(): void;
}

/** Splits a byte stream into lines. Invalid UTF-8 becomes U+FFFD. A line longer than 64 Ki characters is emitted in pieces,
 *  so that the buffer never grows without limit. */
export function splitLines(onLine: (line: string) => void): LineSplitter {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  const take = (text: string): void => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onLine(line.endsWith('\r') ? line.slice(0, -1) : line);
    for (; rest.length > maxLineChars; rest = rest.slice(maxLineChars)) onLine(rest.slice(0, maxLineChars));
  };
  return {
    push: (chunk) => take(decoder.write(chunk)),
    end: () => {
      take(decoder.end());
      if (rest !== '') onLine(rest);
      rest = '';
    },
  };
}
