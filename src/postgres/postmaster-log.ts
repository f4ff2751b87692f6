import type { Readable } from 'node:stream';
import { never } from '../core/abort.ts';
import { monotonicMs, untilQuiet, within } from '../core/clock.ts';
import { maxLineChars, splitLines } from '../process/lines.ts';
import { type LogSink, textSink } from './log-sink.ts';

const quietMs = 100;

export interface LineJoiner {
  add(line: string): void;
  /** Writes the message collected so far. */
  flush(): void;
}

/** Joins the lines of one message, so that a stack trace stays together. A message ends before the first line of the next
 *  one, or when it would exceed 64 Ki characters. The caller flushes when no line follows.
 *  @param pid of the process that was started */
export function joinLines(sink: Pick<LogSink, 'begins' | 'write'>, pid: number | null = null): LineJoiner {
  let lines: string[] = [];
  let chars = 0;
  const flush = (): void => {
    if (lines.length === 0) return;
    const message = lines;
    lines = [];
    chars = 0;
    sink.write(message, pid);
  };
  return {
    add(line) {
      if (sink.begins(line) || chars + line.length > maxLineChars) flush();
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

interface Following {
  /** Default: stderr, with the prefix `PG:`. */
  readonly sink?: LogSink | undefined;
  /** Of the postmaster. */
  readonly pid?: number | null;
  /** Called with each line, before the lines of a message are joined. */
  readonly onLine?: (line: string) => void;
}

/** Reads Postgres's stderr or stdout to its end and writes each message as one line. It never stops reading: a full pipe
 *  would block Postgres. */
export function followPostmasterLog(
  output: Readable,
  { sink = textSink(), pid = null, onLine }: Following = {},
): PostmasterLog {
  const ended = new AbortController();
  const joiner = joinLines(sink, pid);
  let lastLineMs = 0;
  let waiting = false;
  let midLine = false;
  const keptInOrder = sink.keepOrder(() => {
    // The rest of a message may be on its way, where the pipe has cut a line.
    if (!midLine) joiner.flush();
  });
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
    onLine?.(line);
    lastLineMs = monotonicMs();
    if (!waiting && !ended.signal.aborted) void flushWhenQuiet();
  });
  const finish = (): void => {
    if (ended.signal.aborted) return;
    ended.abort();
    lines.end();
    joiner.flush();
    keptInOrder();
  };
  const closed = new Promise<true>((resolve) => output.once('close', () => resolve(true)));
  output.on('data', (chunk: Buffer) => {
    midLine = chunk.at(-1) !== lineFeed;
    lines.push(chunk);
  });
  output.on('error', () => {}).once('close', finish);
  return {
    async drain(limitMs) {
      if ((await within(closed, limitMs, never)) === null) output.destroy();
      finish();
    },
  };
}

const lineFeed = 0x0a;
