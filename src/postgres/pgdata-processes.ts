import { type Stats, statSync } from 'node:fs';
import { basename } from 'node:path';
import { never } from '../core/abort.ts';
import { poll } from '../core/poll.ts';
import { sendSignal } from '../process/process.ts';
import {
  type ProcessId,
  commandLine,
  isAlive,
  processIds,
  readProcLink,
  readStat,
  uidOf,
} from '../process/proc.ts';

export interface PostgresProcess extends ProcessId {
  /** A backend or auxiliary process, by its title; else a postmaster or a single-user server. */
  readonly isBackend: boolean;
}

export interface Found {
  readonly processes: readonly PostgresProcess[];
  /** Pids that may be Postgres of this directory's owner, but whose program and directory are not ours to see. */
  readonly unreadable: readonly number[];
}

/** Every living Postgres process whose working directory is PGDATA: each changes to it when it starts. Also found are
 *  those whose PGDATA was deleted, or moved aside by an earlier run. Linux only: without /proc nothing is found.
 *  @param pgdata absolute, no symbolic links */
export function findPostgresOf(pgdata: string): Found {
  const home = statSync(pgdata, { throwIfNoEntry: false });
  const ourMounts = readProcLink(process.pid, 'ns/mnt');
  const movedOrDeleted = formerNames(pgdata);
  const isHere = (pid: number): boolean => {
    const at = statOf(`/proc/${pid}/cwd`);
    if (at !== null && at.dev === home?.dev && at.ino === home.ino) return true;
    const cwd = readProcLink(pid, 'cwd');
    if (cwd.kind !== 'path' || !movedOrDeleted.test(cwd.path)) return false;
    // The same path text in another container is another directory.
    const mounts = readProcLink(pid, 'ns/mnt');
    return mounts.kind === 'path' && ourMounts.kind === 'path' && mounts.path === ourMounts.path;
  };
  const processes: PostgresProcess[] = [];
  const unreadable: number[] = [];
  for (const pid of processIds()) {
    const exe = readProcLink(pid, 'exe');
    if (exe.kind === 'unreadable' && home !== undefined && uidOf(pid) === home.uid && titled(pid)) {
      unreadable.push(pid);
    }
    if (exe.kind !== 'path' || !isPostgresProgram(exe.path)) continue;
    const stat = readStat(pid);
    if (stat !== null && isHere(pid))
      processes.push({ ...stat, isBackend: commandLine(pid).startsWith('postgres: ') });
  }
  return { processes, unreadable };
}

function statOf(path: string): Stats | null {
  try {
    return statSync(path);
  } catch {
    return null; // the process ended meanwhile
  }
}

/** An upgraded program shows as ` (deleted)`. */
export const isPostgresProgram = (exe: string): boolean =>
  ['postgres', 'postmaster'].includes(basename(exe.replace(/ \(deleted\)$/, '')));

const titled = (pid: number): boolean => /^(\S*\/)?(postgres|postmaster)\b/.test(commandLine(pid));

/** How the kernel calls the directory of a process after PGDATA was deleted or moved aside. */
function formerNames(pgdata: string): RegExp {
  const literal = pgdata.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`);
  return new RegExp(
    String.raw`^${literal}(\.old-[0-9a-f]{16}| \(deleted\)|\.old-[0-9a-f]{16}.* \(deleted\))$`,
  );
}

const pollMs = 20;

/** Sends each process its signal (null: none), continues stopped ones, and polls until none is left, new ones included.
 *  @param find asked again whenever the known ones are gone
 *  @returns those that still live when `ms` are over
 *  @throws the system's error when a signal is not allowed */
export async function signalUntilGone(
  find: () => readonly PostgresProcess[],
  signalFor: (process: PostgresProcess) => NodeJS.Signals | null,
  ms: number,
  signal: AbortSignal,
): Promise<readonly PostgresProcess[]> {
  const signalled = new Set<string>();
  let left: readonly PostgresProcess[] = [];
  const noneLeft = (): true | null => {
    left = left.some(isAlive) ? left.filter(isAlive) : find();
    for (const one of left) {
      const id = `${one.pid} ${one.startTicks}`;
      const name = signalFor(one);
      if (signalled.has(id) || !isAlive(one)) continue;
      signalled.add(id);
      if (name !== null) sendSignal(one.pid, name);
      sendSignal(one.pid, 'SIGCONT');
    }
    return left.length === 0 ? true : null;
  };
  await poll(noneLeft, { everyMs: pollMs, limitMs: ms }, signal);
  return left;
}

/** Ends what is left of a Postgres whose postmaster is gone; nothing of it can do useful work any more. Never throws:
 *  @returns the pids that even SIGKILL does not end within 5000 ms */
export async function endOrphans(pgdata: string): Promise<readonly number[]> {
  const find = (): readonly PostgresProcess[] => findPostgresOf(pgdata).processes;
  try {
    if ((await signalUntilGone(find, () => 'SIGQUIT', 500, never)).length === 0) return [];
    return (await signalUntilGone(find, () => 'SIGKILL', 5000, never)).map(({ pid }) => pid);
  } catch {
    return find().map(({ pid }) => pid);
  }
}
