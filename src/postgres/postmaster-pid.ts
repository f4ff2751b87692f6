import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The content of `postmaster.pid`; parts that are missing or damaged are null.
 *  @see https://www.postgresql.org/docs/current/storage-file-layout.html */
export interface PostmasterPid {
  /** Always positive, although the file has a negative number for a standalone backend. */
  readonly pid: number | null;
  /** Seconds since 1970. */
  readonly startSeconds: number | null;
  readonly sharedMemory: { readonly key: number; readonly id: number } | null;
  /** `starting`, `ready`, `standby` or `stopping`, without blanks; empty while the file is incomplete. */
  readonly status: string;
}

export function parsePostmasterPid(text: string): PostmasterPid {
  const lines = text.split('\n').map((line) => line.trim());
  const whole = (line: string | undefined): number | null =>
    line !== undefined && /^-?\d{1,15}$/.test(line) ? Math.abs(Number(line)) : null;
  const segment = /^(\d+)\s+(\d+)$/.exec(lines[6] ?? '');
  const pid = whole(lines[0]);
  return {
    pid: pid === 0 ? null : pid,
    startSeconds: whole(lines[2]),
    sharedMemory: segment === null ? null : { key: Number(segment[1]), id: Number(segment[2]) },
    status: lines.findLast((line) => line !== '') ?? '',
  };
}

/** Null when there is no such file. */
export function readPostmasterPid(pgdata: string): PostmasterPid | null {
  try {
    return parsePostmasterPid(readFileSync(join(pgdata, 'postmaster.pid'), 'utf8'));
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
}
