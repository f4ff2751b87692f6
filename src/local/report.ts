export type Fields = Readonly<Record<string, string | number | boolean | null>>;

/** Reports events to people or to programs. */
export interface Report {
  /** Reports an event. People get `text`, programs get `event` and `fields`; with `text` null, people get nothing. */
  event(event: string, fields: Fields, text: string | null): void;
  /** Reports progress. On a terminal the line is rewritten; otherwise each `what` is printed once. */
  progress(what: string, done: string): void;
}

/** @param json one JSON object per line instead of sentences */
export function createReport(out: NodeJS.WriteStream, json: boolean): Report {
  let open = '';
  let last = '';
  const write = (text: string): void => {
    // When the reader of the output ends, the compute must continue.
    if (out.writable) out.write(text);
  };
  out.on('error', () => {});
  if (json) {
    return {
      event: (event, fields) =>
        write(`${JSON.stringify({ time: new Date().toISOString(), event, ...fields })}\n`),
      progress(what, done) {
        if (what !== last)
          write(`${JSON.stringify({ time: new Date().toISOString(), event: 'progress', what, done })}\n`);
        last = what;
      },
    };
  }
  const close = (): void => {
    if (open !== '') write('\n');
    open = '';
  };
  return {
    event(_event, _fields, text) {
      if (text === null) return;
      close();
      write(`${text}\n`);
    },
    progress(what, done) {
      if (!out.isTTY) {
        if (what !== last) write(`${what}\n`);
      } else {
        if (what !== last) close();
        const line = done === '' ? what : `${what} ${done}`;
        if (line === open) return;
        write(`\r${line.padEnd(open.length)}`);
        open = line;
      }
      last = what;
    },
  };
}
