import { lstatSync } from 'node:fs';
import { basename } from 'node:path';
import { type ProcessIdentity, identify } from '../../process/identity.ts';
import { readForeignPid } from '../../process/locked-pid.ts';
import { commandLine, readProcLink, readStat, startedAtSeconds, uidOf } from '../../process/proc.ts';

/** Clocks of processes and of files differ by this at most. */
const slackSeconds = 2;

/** The pgbouncer that wrote a pid file; null when the file is missing or nothing runs under its number. Anybody may write
 *  in /tmp, and a number is used again: so the process must be a pgbouncer of our own user that began before the file was
 *  written, and the file must be that user's or root's.
 *  @throws Error that says why the process is not touched */
export function ownPgbouncer(pidPath: string): ProcessIdentity | null {
  const pid = readForeignPid(pidPath);
  const one = pid === null ? null : identify(pid);
  const stat = pid === null ? null : readStat(pid);
  if (pid === null || one === null || stat === null) return null;
  // Of the path itself: a link could have taken its place since the number was read.
  const file = lstatSync(pidPath);
  const uid = process.geteuid?.();
  const refuse = (why: string): Error => new Error(`process ${pid} of ${pidPath} is not touched: ${why}`);
  if (file.uid !== uid && file.uid !== 0) throw refuse('the file belongs to another user');
  if (uidOf(pid) !== uid) throw refuse('the process belongs to another user');
  if (!isPgbouncer(pid)) throw refuse('it is not pgbouncer');
  const began = startedAtSeconds(stat);
  if (began !== null && began > file.mtimeMs / 1000 + slackSeconds)
    throw refuse('it began after the file was written');
  return one;
}

/** By the program's file. Where that cannot be read, as after a change of the user, by the name it was called by. */
function isPgbouncer(pid: number): boolean {
  const exe = readProcLink(pid, 'exe');
  const path = exe.kind === 'path' ? exe.path.replace(/ \(deleted\)$/, '') : commandLine(pid).split(' ')[0]!;
  return basename(path) === 'pgbouncer';
}
