import { closeSync, fstatSync, readSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { openRegular, readSmall } from '../process/regular-file.ts';

/** Bytes at the end of a log file that are looked at. */
const tailBytes = 64 * 1024;

/** PostgreSQL names the files that its collector writes to, one for each format.
 *  @see https://www.postgresql.org/docs/current/runtime-config-logging.html#GUC-LOG-DESTINATION */
const currentFiles = 'current_logfiles';

/** The last lines that PostgreSQL's own log collector has written in this run, each in the form of the log on stderr; none
 *  where it does not run. Nothing is thrown: without them an error only says less.
 *  @param sinceMs milliseconds since 1970: a file that is older is another run's */
export function collectedLines(pgdata: string, sinceMs: number): string[] {
  try {
    const files = readSmall(join(pgdata, currentFiles)).trimEnd().split('\n');
    return files.flatMap((line) => {
      const [, format = '', name = ''] = /^(stderr|csvlog|jsonlog) (.+)$/.exec(line) ?? [];
      const plain = plainOf[format];
      return plain === undefined ? [] : ofThisRun(tail(resolve(pgdata, name), sinceMs)).flatMap(plain);
    });
  } catch {
    return [];
  }
}

function tail(path: string, sinceMs: number): string[] {
  const fd = openRegular(path);
  try {
    const { size, mtimeMs } = fstatSync(fd);
    if (mtimeMs < sinceMs) return [];
    const bytes = Buffer.alloc(Math.min(size, tailBytes));
    const read = readSync(fd, bytes, 0, bytes.length, size - bytes.length);
    return bytes.subarray(0, read).toString('utf8').split('\n');
  } finally {
    closeSync(fd);
  }
}

/** A file may hold several runs. */
const ofThisRun = (lines: readonly string[]): readonly string[] =>
  lines.slice(
    Math.max(
      0,
      lines.findLastIndex((line) => line.includes('starting PostgreSQL ')),
    ),
  );

const plainOf: Readonly<Record<string, (line: string) => string[]>> = {
  stderr: (line) => [line],
  csvlog: (line) => fromCsv(line),
  jsonlog: (line) => fromJson(line),
};

const cell = String.raw`(?:"((?:[^"]|"")*)"|([^,"]*))`;
/** Severity, SQLSTATE, message, detail, hint. */
const csvCells = new RegExp(
  String.raw`,(PANIC|FATAL|ERROR|WARNING|LOG),([0-9A-Z]{5}),${cell},${cell},${cell},`,
);

/** @see https://www.postgresql.org/docs/current/runtime-config-logging.html#RUNTIME-CONFIG-LOGGING-CSVLOG */
function fromCsv(line: string): string[] {
  const [, severity = '', state = '', ...cells] = csvCells.exec(line) ?? [];
  const text = (at: number): string => cells[at]?.replaceAll('""', '"') ?? cells[at + 1] ?? '';
  return severity === '' ? [] : lines(severity, state, { message: text(0), detail: text(2), hint: text(4) });
}

/** @see https://www.postgresql.org/docs/current/runtime-config-logging.html#RUNTIME-CONFIG-LOGGING-JSONLOG */
function fromJson(line: string): string[] {
  if (!line.startsWith('{')) return [];
  try {
    const { error_severity = '', state_code = '', ...rest } = JSON.parse(line) as Record<string, string>;
    return lines(error_severity, state_code, rest);
  } catch {
    return []; // a line that was cut off
  }
}

const lines = (
  severity: string,
  state: string,
  { message, detail, hint }: Readonly<Record<string, string>>,
): string[] => [
  `${severity}:  ${state === '' || state === '00000' ? '' : `${state}: `}${message ?? ''}`,
  ...(detail ? [`DETAIL:  ${detail}`] : []),
  ...(hint ? [`HINT:  ${hint}`] : []),
];
