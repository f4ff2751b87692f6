import { type Logger, pino } from 'pino';
import { flushHeldBack, formatDropped, writeLine } from './stderr.ts';

export type Log = Logger;
export type LogFormat = 'text' | 'json';

const levelNames: Record<number, string> = {
  10: 'TRACE',
  20: 'DEBUG',
  30: 'INFO',
  40: 'WARN',
  50: 'ERROR',
  60: 'FATAL',
};

/** The name of a level in a line of JSON. */
export type LevelWord = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal';

/** Reads a level as the original does: `info`, or `compute_ctl=debug,info`. */
export function levelFromEnv(value: string | undefined): string {
  const known = ['trace', 'debug', 'info', 'warn', 'error', 'off'];
  for (const part of (value ?? '').toLowerCase().split(',')) {
    const [target = '', level = target] = part.trim().split('=');
    if ((target === level || target.startsWith('compute_ctl')) && known.includes(level)) {
      return level === 'off' ? 'silent' : level;
    }
  }
  return 'info';
}

/** What pino gives a destination about each line, before it writes the line as JSON.
 *  @see https://github.com/pinojs/pino/blob/main/docs/api.md#pino-metadata */
interface LastLine {
  readonly lastLevel: number;
  /** As in JSON, with its quotes. */
  readonly lastTime: string;
  readonly lastMsg?: string;
  readonly lastObj: Readonly<Record<string, unknown>>;
  readonly lastLogger: Logger;
}

/** `2025-08-08T12:00:00.123Z  INFO message key=value`: the format that the original writes to stderr. */
function asText({ lastLevel, lastTime, lastMsg = '', lastObj, lastLogger }: LastLine): string {
  const level = nameOf(lastLevel).padStart(5);
  return `${lastTime.slice(1, -1)} ${level} ${lastMsg.replaceAll('\n', '\\n')}${fieldsOf({ lastObj, lastLogger })}`;
}

const nameOf = (level: number): string => levelNames[level] ?? String(level);

const fieldsOf = ({ lastObj, lastLogger }: Pick<LastLine, 'lastObj' | 'lastLogger'>): string =>
  Object.entries({ ...lastLogger.bindings(), ...lastObj })
    .map(field)
    .join('');

/** A line for somebody who has a form of his own. */
export interface LoggedLine {
  /** `WARN` */
  readonly severity: string;
  /** RFC 3339, UTC. */
  readonly time: string;
  /** The message, with its fields as `key=value`. */
  readonly text: string;
}

const logged = (line: LastLine): LoggedLine => ({
  severity: nameOf(line.lastLevel),
  time: line.lastTime.slice(1, -1),
  text: `${line.lastMsg ?? ''}${fieldsOf(line)}`,
});

function field([key, given]: [string, unknown]): string {
  const value = key === 'err' && given instanceof Error ? pino.stdSerializers.err(given) : given;
  const shown = typeof value === 'string' ? value : (JSON.stringify(value) as string | undefined);
  return shown === undefined ? '' : ` ${key}=${shown}`;
}

/** @param write gets each line without its end; by default they go to stderr
 *  @param also gets each line, too */
export function createLog(options: LogOptions, write = writeLine, also?: (line: LoggedLine) => void): Log {
  if (write === writeLine) formatDropped((count, next) => droppedLine(options, count, next));
  return logTo(options, write, also);
}

interface LogOptions {
  readonly format: LogFormat;
  readonly level: string;
}

/** A line of JSON as the log has them, for what other programs print.
 *  @param fields without those of every line: `level`, `time`, `msg` */
export function jsonLine(level: LevelWord, fields: Readonly<Record<string, unknown>>, msg: string): string {
  flushHeldBack();
  return JSON.stringify({ level, time: new Date().toISOString(), ...fields, msg });
}

/** No line is older than the one before it. */
function timeInOrder(): string {
  flushHeldBack();
  return pino.stdTimeFunctions.isoTime();
}

const timestamp = /\d{4}-\d\d-\d\dT[\d:.]+Z/;

/** The line that says how many lines are missing. It stands before lines that are older than it, and so has the time of the
 *  next one. */
export function droppedLine(options: LogOptions, count: number, next: string | undefined): string {
  let said = '';
  const log = logTo({ ...options, level: 'warn' }, (line) => (said = line));
  log.warn(
    { dropped: count },
    `${count} log lines were dropped: the reader of stderr was too slow, or had no room`,
  );
  const [time] = timestamp.exec(next ?? '') ?? [];
  return time === undefined ? said : said.replace(timestamp, time);
}

function logTo(options: LogOptions, write: (line: string) => void, also?: (line: LoggedLine) => void): Log {
  const json = {
    ...(also && { [pino.symbols.needsMetadataGsym]: true }),
    write(line: string): void {
      write(line.trimEnd());
      also?.(logged(this as unknown as LastLine));
    },
  };
  const text = {
    [pino.symbols.needsMetadataGsym]: true,
    write(): void {
      write(asText(this as unknown as LastLine));
      also?.(logged(this as unknown as LastLine));
    },
  };
  return pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      ...(options.format === 'json' && {
        timestamp: timeInOrder,
        formatters: { level: (level: string) => ({ level }) },
      }),
    },
    options.format === 'json' ? json : text,
  );
}
