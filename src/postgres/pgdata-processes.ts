import { never } from '../core/abort.ts';
import { type Stats, statSync } from 'node:fs';
import { basename } from 'node:path';
import { type EndStep, endAll } from '../process/end.ts';
import { type ProcessIdentity, identify } from '../process/identity.ts';
import { commandLine, processIds, readProcLink, uidOf } from '../process/proc.ts';

export interface PostgresProcess extends ProcessIdentity {
  /** A backend or auxiliary process, by its title; else a postmaster or a single-user server. */
  readonly isBackend: boolean;
}

export interface Found {
  readonly processes: readonly PostgresProcess[];
  /** Pids that may be Postgres of this directory's owner, but whose program and directory we may not read. */
  readonly unreadable: readonly number[];
}

/** Every running Postgres process whose working directory is PGDATA: each changes to it when it starts. Includes
 *  processes whose PGDATA was deleted, or renamed by an earlier run. Linux only: without /proc nothing is found.
 *  @param pgdata absolute, no symbolic links
 *  @param pids those that are looked at; left out: all of the machine */
export function findPostgresOf(pgdata: string, pids: readonly number[] = processIds()): Found {
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
  for (const pid of pids) {
    const exe = readProcLink(pid, 'exe');
    if (exe.kind === 'unreadable' && home !== undefined && uidOf(pid) === home.uid && titled(pid)) {
      unreadable.push(pid);
    }
    if (exe.kind !== 'path' || !isPostgresProgram(exe.path)) continue;
    const identity = identify(pid);
    if (identity !== null && isHere(pid))
      processes.push({ ...identity, isBackend: commandLine(pid).startsWith('postgres: ') });
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

/** The working directory that the kernel shows after PGDATA was deleted or renamed. */
function formerNames(pgdata: string): RegExp {
  const literal = pgdata.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`);
  return new RegExp(
    String.raw`^${literal}(\.old-[0-9a-f]{16}| \(deleted\)|\.old-[0-9a-f]{16}.* \(deleted\))$`,
  );
}

const orphanSteps: readonly EndStep[] = [
  { signal: 'SIGQUIT', graceMs: 500 },
  { signal: 'SIGKILL', graceMs: 5000 },
];

/** Ends the remaining processes of a Postgres whose postmaster has ended; they cannot do useful work any more. Never
 *  throws.
 *  @returns the pids that still run 5000 ms after SIGKILL */
export async function endOrphans(pgdata: string): Promise<readonly number[]> {
  const find = (): readonly PostgresProcess[] => findPostgresOf(pgdata).processes;
  const pids = (left: readonly PostgresProcess[]): number[] => left.map(({ pid }) => pid);
  try {
    return pids(await endAll(find, orphanSteps, never));
  } catch {
    return pids(find());
  }
}
