import { ComputeError } from '../core/errors.ts';
import { type RunResult, runProcess } from '../process/run-process.ts';
import type { PostgresBin } from './postgres-bin.ts';

/** One error that a start with these configuration files would report. */
export interface ConfError {
  readonly sqlState: string;
  /** PostgreSQL's words in English, with its DETAIL and HINT; a syntax error without the text that it is near, which may be
   *  a part of a password. */
  readonly words: string;
}

export interface ConfCheck {
  readonly bin: Pick<PostgresBin, 'path' | 'major'>;
  /** Holds `postgresql.conf`; nothing else is needed in it. */
  readonly dataDir: string;
  readonly env: NodeJS.ProcessEnv;
}

const limitMs = 20_000;
/** It stands above what the files say, so that the errors are written, and can be read, whatever is in the files. */
const readable = {
  lc_messages: 'C',
  log_min_messages: 'warning',
  log_error_verbosity: 'verbose',
  log_line_prefix: '',
};
const syntaxError = '42601';
const summary = 'F0000';

/** Lets PostgreSQL read its configuration files as a start would, and nothing more: also while a server uses them. The
 *  settings of libraries are not judged, since none is loaded.
 *  @returns what is wrong, in PostgreSQL's order; empty when it could start. When it does not know a name, or cannot read a
 *  line, it does not get as far as the values
 *  @throws ComputeError `postgres_start` when it fails for another reason; those of `runProcess`
 *  @see https://www.postgresql.org/docs/current/app-postgres.html `-C` */
export async function checkConf(check: ConfCheck, signal: AbortSignal): Promise<ConfError[]> {
  const result = await ask(check, 'data_directory', signal);
  if (result.code === 0) return [];
  const errors = readErrors(result.stderr);
  if (errors.length === 0) throw failed(check, result);
  return errors;
}

/** A setting as a start with these files would have it; not for those that depend on others.
 *  @throws ComputeError `postgres_start`; those of `runProcess` */
export async function readConfSetting(check: ConfCheck, name: string, signal: AbortSignal): Promise<string> {
  const result = await ask(check, name, signal);
  if (result.code !== 0) throw failed(check, result);
  return result.stdout.replace(/\n$/, '');
}

function ask({ bin, dataDir, env }: ConfCheck, name: string, signal: AbortSignal): Promise<RunResult> {
  const settings = Object.entries(readable).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const args = ['-D', dataDir, '-C', name, ...settings];
  // Until it has read lc_messages, the language is that of the environment.
  const english = { ...env, LC_ALL: 'C', LANGUAGE: 'C' };
  return runProcess({ command: bin.path, args, env: english, cwd: '/', limitMs }, signal);
}

function failed({ bin }: ConfCheck, { code, signal, stderr }: RunResult): ComputeError {
  const how = code === null ? `signal ${signal}` : `exit code ${code}`;
  return new ComputeError('postgres_start', `${bin.path} -C failed (${how}): ${stderr.trim().slice(-1000)}`);
}

const message = /^(?<level>LOG|WARNING|ERROR|FATAL|PANIC): {2}(?<state>[0-9A-Z]{5}): (?<text>.*)$/s;
const addition = /^(?<kind>DETAIL|HINT): {2}(?<text>.*)$/s;

/** Reads what a server writes with `log_error_verbosity = verbose`.
 *  @param log a message may have several lines: those after the first begin with a tab */
export function readErrors(log: string): ConfError[] {
  const found: ConfError[] = [];
  let last: { sqlState: string; words: string } | null = null;
  for (const entry of log.split(/\r?\n(?!\t)/)) {
    const line = entry.replaceAll(/\n\t/g, ' ');
    const { level, state, text } = message.exec(line)?.groups ?? {};
    if (level !== undefined && state !== undefined && text !== undefined) {
      const judged = !state.startsWith('00') && !state.startsWith('01') && state !== summary;
      last = judged ? { sqlState: state, words: state === syntaxError ? withoutToken(text) : text } : null;
      if (last !== null) found.push(last);
    } else {
      const more = addition.exec(line)?.groups;
      if (more !== undefined && last !== null) last.words += ` (${more['kind']}: ${more['text']})`;
    }
  }
  return found;
}

const withoutToken = (text: string): string => text.replace(/, near (token ".*"|end of line)$/s, '');
