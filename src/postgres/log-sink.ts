import { type LevelWord, type LogFormat, jsonLine } from '../core/log.ts';
import { holdBack, writeLine } from '../core/stderr.ts';

/** Where the lines of PostgreSQL go. */
export interface LogSink {
  /** Whether this line begins a message; the others continue the message before it. */
  begins(line: string): boolean;
  /** Writes one message.
   *  @param pid of the process that was started, for lines that do not name another one */
  write(lines: readonly string[], pid: number | null): void;
  /** Calls `flush` before each line of the log that comes from elsewhere. @returns ends that */
  keepOrder(flush: () => void): () => void;
}

/** Zero width space: it is invisible, and a reader of the log can split the message into its lines there. */
const joint = '\u200B';
const timestamp = /^\d+-\d{2}-\d{2} \d{2}:\d{2}:\d{2}/;

/** Lines with the prefix `PG:`, as the original writes them. A message ends before a line that starts with a timestamp (from
 *  `log_line_prefix`). */
export const textSink = (write: (line: string) => void = writeLine): LogSink => ({
  begins: (line) => timestamp.test(line),
  write: (lines) => write(`PG:${lines.join(joint)}`),
  keepOrder: () => () => {},
});

/** One object for each message. PostgreSQL begins the further lines of a message with a tab, whatever `log_line_prefix` is; the
 *  prefix itself may begin with a blank. */
export function jsonSink(
  write: (line: string) => void = writeLine,
  more: Readonly<Record<string, unknown>> = {},
): LogSink {
  let latest: Pick<Parsed, 'level' | 'pid'> | null = null;
  return {
    begins: (line) => !line.startsWith('\t'),
    write(lines, pid) {
      const parsed = parse(lines.map((line, at) => (at === 0 ? line : line.replace(/^\t/, ''))).join('\n'));
      // The fields of a message follow it, each as a message of its own.
      if (latest !== null && latest.pid === parsed.pid && fieldsOfMessage.has(parsed.severity ?? ''))
        parsed.level = latest.level;
      latest = parsed;
      const { level, msg, severity, prefix } = parsed;
      const from = { source: 'postgres', pid: parsed.pid ?? pid ?? undefined, severity, prefix };
      write(jsonLine(level, { ...from, ...more }, msg));
    },
    keepOrder: holdBack,
  };
}

export const sinkFor = (format: LogFormat): LogSink => (format === 'json' ? jsonSink() : textSink());

interface Parsed {
  level: LevelWord;
  readonly severity: string | undefined;
  readonly pid: number | null;
  /** What `log_line_prefix` has put before the severity. */
  readonly prefix: string | undefined;
  readonly msg: string;
}

const levels: Readonly<Record<string, LevelWord>> = {
  DEBUG: 'debug',
  DEBUG1: 'debug',
  DEBUG2: 'debug',
  DEBUG3: 'debug',
  DEBUG4: 'debug',
  DEBUG5: 'debug',
  WARNING: 'warn',
  ERROR: 'error',
  // It ends one session, not the server.
  FATAL: 'error',
  PANIC: 'fatal',
};

const fieldsOfMessage: ReadonlySet<string> = new Set([
  'DETAIL',
  'HINT',
  'QUERY',
  'CONTEXT',
  'LOCATION',
  'BACKTRACE',
  'STATEMENT',
]);

/** Characters of `log_line_prefix` at most: further on it is the message. */
const maxPrefix = 300;
/** In every language of PostgreSQL: a word in capitals, a colon and two spaces. */
const severityPattern = /(?<![\p{L}\p{N}])([\p{Lu}\p{Lo}]+[1-5]?): {2}/u;
/** `[%p]` and `[%p-%l]` of usual prefixes, then `pid=%p`, then a number alone. */
const anyTimestamp = /\d+-\d{2}-\d{2}[ T]\d{2}:\d{2}:\d{2}(?:\.\d+)?/g;
const pidPatterns = [/\[(\d+)(?:-\d+)?\]/, /\bpid[=: ]*(\d+)\b/i, /(?:^|[ ,;:|])(\d+)(?=$|[ ,;:|])/];

function parse(text: string): Parsed {
  const found = severityPattern.exec(text.slice(0, maxPrefix));
  if (found === null) return { level: 'info', severity: undefined, pid: null, prefix: undefined, msg: text };
  const prefix = text.slice(0, found.index).trim();
  const [whole, severity = ''] = found;
  return {
    level: levels[severity] ?? 'info',
    severity,
    pid: pidIn(prefix),
    prefix: prefix === '' ? undefined : prefix,
    msg: text.slice(found.index + whole.length),
  };
}

function pidIn(prefix: string): number | null {
  for (const pattern of pidPatterns) {
    const digits = pattern.exec(prefix.replaceAll(anyTimestamp, ''))?.[1];
    if (digits !== undefined && digits.length <= 7 && Number(digits) > 0) return Number(digits);
  }
  return null;
}
