import type { Readable } from 'node:stream';
import { never } from '../core/abort.ts';
import { monotonicMs, untilQuiet, within } from '../core/clock.ts';
import { writeLine } from '../core/stderr.ts';
import { maxLineChars, splitLines } from '../process/lines.ts';

const quietMs = 100;
/** Zero width space: it is invisible, and a reader of the log can split the message into its lines there. */
const joint = '\u200B';
const newMessage = /^\d+-\d{2}-\d{2} \d{2}:\d{2}:\d{2}/;

export interface LineJoiner {
  add(line: string): void;
  /** Writes the message collected so far. */
  flush(): void;
}

/** Joins the lines of one message, so that a stack trace stays together. A message ends before a line that starts with a
 *  timestamp (from `log_line_prefix`), or when it would exceed 64 Ki characters. The caller flushes when no line follows. */
export function joinLines(write: (message: string) => void): LineJoiner {
  let lines: string[] = [];
  let chars = 0;
  const flush = (): void => {
    if (lines.length === 0) return;
    const message = lines.join(joint);
    lines = [];
    chars = 0;
    write(message);
  };
  return {
    add(line) {
      if (newMessage.test(line) || chars + line.length > maxLineChars) flush();
      lines.push(line);
      chars += line.length + 1;
    },
    flush,
  };
}

export interface PostmasterLog {
  /** Resolves when the stream has ended and everything is written, after `limitMs` at the latest: another process may keep
   *  the pipe open after Postgres has ended. */
  drain(limitMs: number): Promise<void>;
}

/** Reads Postgres's stderr or stdout to its end and writes each message as one line with the prefix `PG:`. It never stops reading:
 *  a full pipe would block Postgres.
 *  @param onLine called with each line, before the lines of a message are joined */
export function followPostmasterLog(
  output: Readable,
  write: (line: string) => void = writeLine,
  onLine: (line: string) => void = () => {},
): PostmasterLog {
  const ended = new AbortController();
  const joiner = joinLines((message) => write(`PG:${message}`));
  let lastLineMs = 0;
  let waiting = false;
  const flushWhenQuiet = async (): Promise<void> => {
    waiting = true;
    try {
      await untilQuiet(() => lastLineMs, quietMs, ended.signal);
      joiner.flush();
    } catch {
      // The stream has ended; `finish` flushes.
    } finally {
      waiting = false;
    }
  };
  const lines = splitLines((line) => {
    joiner.add(line);
    onLine(line);
    lastLineMs = monotonicMs();
    if (!waiting && !ended.signal.aborted) void flushWhenQuiet();
  });
  const finish = (): void => {
    if (ended.signal.aborted) return;
    ended.abort();
    lines.end();
    joiner.flush();
  };
  const closed = new Promise<true>((resolve) => output.once('close', () => resolve(true)));
  output.on('data', (chunk: Buffer) => lines.push(chunk));
  output.on('error', () => {}).once('close', finish);
  return {
    async drain(limitMs) {
      if ((await within(closed, limitMs, never)) === null) output.destroy();
      finish();
    },
  };
}
