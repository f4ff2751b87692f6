import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  accessSync,
  closeSync,
  constants,
  fstatSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  rmSync,
  unlinkSync,
} from 'node:fs';
import { type Server, connect, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { ComputeError } from '../core/errors.ts';
import { entryOf, openDirectory } from '../process/dir-fd.ts';
import { writeAtomically } from '../process/files.ts';
import { readSmall } from '../process/regular-file.ts';
import { canonicalPath } from './path.ts';

export interface PgdataLock {
  release(): Promise<void>;
}

interface Holder {
  readonly pid: number;
  /** RFC 3339. */
  readonly since: string;
}

/** The lock's directory inside a data directory; wiping keeps it. */
export const lockInside = 'compute_ctl.lock';

const noteName = 'holder.json';
const attempts = 100;

/** Takes the lock that keeps a second compute_ctl off a data directory, which need not exist. Only its OS user can take it,
 *  and the kernel releases it however its holder ends.
 *
 *  The lock is a directory of that user with listening Unix sockets named by numbers. The holder is the one whose socket has
 *  the highest number, as long as it listens. A starter creates the next number in one step (a hard link of a socket that
 *  already listens), only if the highest does not answer, and steps back if a higher one has appeared; the highest is never
 *  removed. So of two starters that find a dead holder, one wins.
 *
 *  The directory is `<pgdata>.lock`. Where that cannot be created, or where the data directory is a mounted volume, it is
 *  inside the data directory, which then cannot be renamed either.
 *  @throws ComputeError `pgdata_locked` naming the holder's pid; `pgdata_refused` when another user has created the lock */
export async function lockPgdata(pgdata: string): Promise<PgdataLock> {
  const path = await canonicalPath(pgdata);
  const dir = openLockDir(lockPathOf(path), pgdata);
  let server: Server | null = null;
  try {
    server = await listen(dir);
    if (server === null) throw lockedError(pgdata, dir);
  } catch (error) {
    closeSync(dir);
    throw error;
  }
  const listening = server;
  listening.unref();
  const holder: Holder = { pid: process.pid, since: new Date().toISOString() };
  writeAtomically(entryOf(dir, noteName), `${JSON.stringify(holder)}\n`, { mode: 0o600 });
  let released = false;
  return {
    async release() {
      if (released) return;
      released = true;
      remove(entryOf(dir, noteName));
      listening.close();
      await once(listening, 'close');
      closeSync(dir);
    },
  };
}

function lockPathOf(path: string): string {
  const inside = join(path, lockInside);
  const own = lstatSync(path, { throwIfNoEntry: false });
  if (own === undefined) return `${path}.lock`;
  try {
    accessSync(dirname(path), constants.W_OK);
  } catch {
    return inside;
  }
  return own.dev === lstatSync(dirname(path)).dev ? `${path}.lock` : inside;
}

/** @returns a descriptor: nobody can put another directory in its place */
function openLockDir(path: string, pgdata: string): number {
  const refuse = (why: string, cause?: unknown): ComputeError =>
    new ComputeError('pgdata_refused', `cannot lock the data directory ${pgdata}: ${path} ${why}`, {
      cause,
      hint: 'remove it if it is not meant to be there, or use another data directory',
    });
  let fd: number;
  try {
    removeFormerNote(path);
    mkdirSync(path, { recursive: true, mode: 0o700 });
    fd = openDirectory(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const kind = ['ELOOP', 'ENOTDIR', 'EEXIST'].includes(code ?? '')
      ? 'is a file or a symbolic link'
      : `cannot be used (${code})`;
    throw refuse(kind, error);
  }
  const { uid, mode } = fstatSync(fd);
  if (uid === process.getuid?.() && (mode & 0o077) === 0) return fd;
  closeSync(fd);
  throw refuse(
    uid === process.getuid?.() ? 'can be used by other users' : `belongs to another user (uid ${uid})`,
  );
}

/** Earlier versions had a file there. */
function removeFormerNote(path: string): void {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat?.isFile() === true && stat.uid === process.getuid?.()) unlinkSync(path);
}

/** Null when somebody holds the lock. */
async function listen(dir: number): Promise<Server | null> {
  const fresh = entryOf(dir, `new-${process.pid}-${randomBytes(6).toString('hex')}`);
  const server = createServer((socket) => socket.destroy());
  server.listen(fresh);
  await once(server, 'listening');
  try {
    for (let attempt = 0; attempt < attempts; attempt++) {
      const highest = highestOf(dir);
      if (highest > 0 && (await answers(entryOf(dir, String(highest))))) break;
      const mine = highest + 1;
      if (!link(fresh, entryOf(dir, String(mine)))) continue;
      if (highestOf(dir) > mine) {
        remove(entryOf(dir, String(mine)));
        continue;
      }
      remove(fresh);
      await removeBelow(dir, mine);
      return server;
    }
  } catch (error) {
    server.close();
    throw error;
  } finally {
    remove(fresh);
  }
  server.close();
  return null;
}

/** False when the name is taken. */
function link(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Whatever it is, also if it is gone. On its own, `rmSync` would load a module for what is a socket almost always. */
function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') rmSync(path, { recursive: true, force: true });
  }
}

const namesIn = (dir: number): string[] => readdirSync(`/proc/self/fd/${dir}`);

const generations = (dir: number): number[] =>
  namesIn(dir)
    .filter((name) => /^[1-9]\d{0,14}$/.test(name))
    .map(Number);

const highestOf = (dir: number): number => Math.max(0, ...generations(dir));

/** What dead holders have left. */
async function removeBelow(dir: number, mine: number): Promise<void> {
  for (const number of generations(dir)) if (number < mine) remove(entryOf(dir, String(number)));
  for (const name of namesIn(dir))
    if (name.startsWith('new-') && !(await answers(entryOf(dir, name)))) remove(entryOf(dir, name));
}

/** Also true when the holder is stopped: the kernel accepts for it, until its backlog is full. */
async function answers(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, 'connect');
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EAGAIN';
  } finally {
    socket.destroy();
  }
}

function lockedError(pgdata: string, dir: number): ComputeError {
  const holder = readHolder(dir);
  const who =
    holder === null ? 'another compute_ctl' : `compute_ctl with pid ${holder.pid} (since ${holder.since})`;
  return new ComputeError('pgdata_locked', `the data directory ${pgdata} is in use by ${who}`, {
    hint: 'stop it, or use another data directory',
  });
}

function readHolder(dir: number): Holder | null {
  try {
    const { pid, since } = JSON.parse(readSmall(entryOf(dir, noteName))) as Partial<Holder>;
    return typeof pid === 'number' && typeof since === 'string' ? { pid, since } : null;
  } catch {
    return null;
  }
}
