import { monotonicMs } from '../core/clock.ts';

export type Fields = Readonly<Record<string, string | number | boolean | null>>;

/** Reports events to people or to programs. */
export interface Report {
  /** Reports an event. People get `text`, programs get `event` and `fields`; with `text` null, people get nothing. */
  event(event: string, fields: Fields, text: string | null): void;
  /** Reports progress. On a terminal the line is rewritten; otherwise each `what` is printed once.
   *  @param part of the whole, from 0 to 1: shown as a bar; elsewhere such a line is printed every few seconds */
  progress(what: string, done: string, part?: number): void;
}

/** Where no line is rewritten, one is printed this often. */
const lineMs = 5000;
const barLength = 10;

/** @param json one JSON object per line instead of sentences
 *  @param bars where progress with a bar goes; not in JSON, which has events for it */
export function createReport(out: NodeJS.WriteStream, json: boolean, bars = out): Report {
  let last = '';
  // When the reader of the output ends, the compute must continue.
  const write = (text: string, to = out): void => void (to.writable && to.write(text));
  for (const one of new Set([out, bars])) one.on('error', () => {});
  if (json) {
    const line = (fields: Fields): void =>
      write(`${JSON.stringify({ time: new Date().toISOString(), ...fields })}\n`);
    return {
      event: (event, fields) => line({ event, ...fields }),
      progress(what, done, part) {
        if (part !== undefined) return;
        if (what !== last) line({ event: 'progress', what, done });
        last = what;
      },
    };
  }
  let open: { readonly text: string; readonly on: NodeJS.WriteStream } | null = null;
  let nextMs = 0;
  const close = (): void => {
    if (open !== null) write('\n', open.on);
    open = null;
  };
  return {
    event(_event, _fields, text) {
      if (text === null) return;
      close();
      write(`${text}\n`);
    },
    progress(what, done, part) {
      const to = part === undefined ? out : bars;
      const words = done === '' ? what : `${what} ${done}`;
      if (to.isTTY) {
        if (what !== last) close();
        const text = fitting(part === undefined ? words : `${what} ${bar(part)} ${done}`, to.columns);
        if (text === open?.text) return;
        write(`\r${text.padEnd(open?.text.length ?? 0)}`, to);
        open = { text, on: to };
      } else if (part === undefined) {
        if (what !== last) write(`${what}\n`);
      } else if (what !== last || monotonicMs() >= nextMs) {
        write(`${words}\n`, to);
        nextMs = monotonicMs() + lineMs;
      }
      last = what;
    },
  };
}

function bar(part: number): string {
  const full = Math.floor(Math.min(1, Math.max(0, part)) * barLength);
  return `[${'#'.repeat(full)}${'-'.repeat(barLength - full)}]`;
}

/** A line that is longer than the terminal could not be rewritten. */
const fitting = (text: string, columns: number | undefined): string =>
  columns === undefined || columns < 2 ? text : text.slice(0, columns - 1);
