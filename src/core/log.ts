import { writeSync } from 'node:fs';
import { type Logger, pino } from 'pino';

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

/** The level for people who set it the way the original reads it: `info`, or `compute_ctl=debug,info`. */
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

/** Writes one line to stderr in one go, so that it never mixes with another writer's line. A full pipe is retried. */
export function writeLine(line: string): void {
  const bytes = Buffer.from(`${line}\n`);
  for (let at = 0, tries = 0; at < bytes.length && tries < 1000; tries++) {
    try {
      at += writeSync(2, bytes, at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
    }
  }
}

const show = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

/** `2025-08-08T12:00:00.123Z  INFO message key=value`: what the original's readers expect on stderr. */
export function asText(json: string): string {
  const { level, time, msg, ...rest } = JSON.parse(json) as { level: number; time: string; msg?: string };
  const fields = Object.entries(rest).map(([key, value]) => ` ${key}=${show(value)}`);
  return `${time} ${(levelNames[level] ?? String(level)).padStart(5)} ${(msg ?? '').replaceAll('\n', '\\n')}${fields.join('')}`;
}

export function createLog(options: { format: LogFormat; level: string }): Log {
  const write = options.format === 'json' ? (json: string) => json.trimEnd() : asText;
  return pino(
    { level: options.level, base: null, timestamp: pino.stdTimeFunctions.isoTime },
    { write: (json: string) => writeLine(write(json)) },
  );
}
