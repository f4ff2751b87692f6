import { unlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '../core/log.ts';
import { hasProc, readProcLink, readStat } from '../process/proc.ts';
import { readSmall } from '../process/regular-file.ts';
import { isPostgresProgram } from './pgdata-processes.ts';
import { parsePostmasterPid } from './postmaster-pid.ts';
import { splitList } from './preload-libraries.ts';

/** Where a server has its sockets when no setting says so: PostgreSQL's own choice, and Debian's. */
const usualDirs = '/tmp, /var/run/postgresql';

/** Removes the lock files of sockets whose server has ended. PostgreSQL only asks whether there is a process with the number in
 *  the file. There is one when the number was given to another process meanwhile, and while a killed server waits for init to
 *  reap it, which in a container may take for ever. It would refuse to start.
 *  @param directories `unix_socket_directories`; null: the server's default */
export function removeStaleSockets(
  { directories, port }: { readonly directories: string | null; readonly port: string | null },
  log: Log,
): void {
  if (!hasProc()) return;
  for (const item of splitList(directories ?? usualDirs)) {
    const socket = join(item.replaceAll('"', ''), `.s.PGSQL.${Number(port ?? 5432)}`);
    const pid = pidIn(`${socket}.lock`);
    if (pid === null || mayBePostgres(pid)) continue;
    log.info(`removing ${socket}.lock: its server, process ${pid}, has ended`);
    for (const path of [socket, `${socket}.lock`]) unlinked(path);
  }
}

/** Null: there is none, or it is not a file of a server, which Postgres will tell. */
function pidIn(lock: string): number | null {
  try {
    return parsePostmasterPid(readSmall(lock)).pid;
  } catch {
    return null;
  }
}

function mayBePostgres(pid: number): boolean {
  // A process that has ended and is not reaped has no state here.
  if (readStat(pid) === null) return false;
  const exe = readProcLink(pid, 'exe');
  return exe.kind === 'path' ? isPostgresProgram(exe.path) : exe.kind === 'unreadable';
}

/** What cannot be removed, such as another user's, is in the way of Postgres, which tells. */
function unlinked(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // As above.
  }
}
