import {
  type Dirent,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
} from 'node:fs';
import { resolve, sep } from 'node:path';
import { ComputeError } from '../core/errors.ts';
import { systemCode } from '../core/system-hints.ts';
import { entryOf, openDirectory } from './dir-fd.ts';
import { type Made, ruleOf } from './made.ts';
import type { OsUser } from './os-user.ts';

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
const mostLinks = 40;

export interface HandOverOptions {
  /** Missing directories above it are created, as root's. Default false. */
  readonly parents?: boolean;
  /** What an earlier version may have created as root in a directory that it owned. With it, a directory of root is handed
   *  over with what was made in it; without, only when it is empty. Default: only when it is empty. */
  readonly former?: Former;
  /** What to name it in errors, such as `the data directory`. */
  readonly what: string;
  /** Of the errors. Default `pgdata_refused`. */
  readonly code?: 'pgdata_refused' | 'dir_refused';
}

export interface Former {
  readonly made: readonly Made[];
  /** Whether this directory, in which nothing else is, was created by an earlier version. @param dir a descriptor */
  readonly isOurs: (dir: number) => boolean;
}

/** As root: makes sure that a directory exists, with mode 0700, and gives it to the user. Every component of the path is
 *  opened relative to the one before it, so nobody can swap a directory for a link meanwhile. A link is followed only where
 *  nobody but root can have created it; the last component may never be a link.
 *  @throws ComputeError `code` for links, files, directories of other users, and for directories of root that hold
 *  something else */
export function handOver(
  path: string,
  user: OsUser,
  { parents = false, former, what, code = 'pgdata_refused' }: HandOverOptions,
): void {
  const refuse = refusal(code, what, resolve(path));
  const names = resolve(path).split(sep).slice(1);
  const last = names.pop() ?? '';
  if (last === '')
    throw refuse('the root directory cannot be used', 'give the path of a directory of its own');
  let fd = openDirectory('/');
  try {
    let at = '';
    for (const name of names) {
      at += `/${name}`;
      fd = replace(fd, enter(fd, name, { parents, refuse, links: mostLinks, at }));
    }
    fd = replace(fd, openOrCreate(fd, last, 0o700, refuse));
    give(fd, user, { former, refuse });
  } catch (error) {
    if (error instanceof ComputeError) throw error;
    throw refuse(`cannot give it to ${user.name}`, undefined, error);
  } finally {
    closeSync(fd);
  }
}

type Refuse = (why: string, hint?: string, cause?: unknown) => ComputeError;

const refusal =
  (code: 'pgdata_refused' | 'dir_refused', what: string, path: string): Refuse =>
  (why, hint, cause) =>
    new ComputeError(code, `${what} ${path} is refused: ${why}`, {
      ...(cause === undefined ? {} : { cause: withoutPath(cause) }),
      ...(hint === undefined ? {} : { hint }),
    });

/** The path of the system's error is that of a descriptor of this process. */
function withoutPath(cause: unknown): unknown {
  if (systemCode(cause) === null) return cause;
  const { message, code, syscall } = cause as NodeJS.ErrnoException;
  return Object.assign(new Error(message.replace(/ '.*'$/s, '')), { code, syscall });
}

function replace(old: number, fresh: number): number {
  closeSync(old);
  return fresh;
}

interface Entering {
  readonly parents: boolean;
  readonly refuse: Refuse;
  /** How many links may still be followed. */
  readonly links: number;
  /** Where it is, for messages. */
  readonly at: string;
}

/** Opens a directory on the way. */
function enter(fd: number, name: string, entering: Entering): number {
  const { parents, refuse, links, at } = entering;
  try {
    return openDirectory(entryOf(fd, name));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' && parents) return openOrCreate(fd, name, 0o755, refuse);
    if (code === 'ENOENT')
      throw refuse(
        `the directory ${at} above it does not exist`,
        'create that directory, or correct the path',
      );
    if (code !== 'ELOOP' && code !== 'ENOTDIR') throw refuse(`cannot open ${at}`, undefined, error);
  }
  if (!lstatSync(entryOf(fd, name)).isSymbolicLink())
    throw refuse(`${at} is a file`, 'correct the path: directories lead to it');
  const { uid, mode } = fstatSync(fd);
  if (uid !== 0 || (mode & 0o022) !== 0)
    throw refuse(
      `${at} is a symbolic link in a directory that other users can write`,
      'use the path that the link leads to',
    );
  if (links === 0)
    throw refuse('there are too many symbolic links in its path', 'use the path that the links lead to');
  return follow(fd, readlinkSync(entryOf(fd, name)), { ...entering, links: links - 1 });
}

function follow(from: number, target: string, entering: Entering): number {
  let fd = openDirectory(target.startsWith(sep) ? '/' : entryOf(from, '.'));
  try {
    for (const name of target.split(sep)) {
      if (name !== '' && name !== '.') fd = replace(fd, enter(fd, name, entering));
    }
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function openOrCreate(fd: number, name: string, mode: number, refuse: Refuse): number {
  try {
    mkdirSync(entryOf(fd, name), mode);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST')
      throw refuse('cannot create it', undefined, error);
  }
  try {
    return openDirectory(entryOf(fd, name));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ELOOP' && code !== 'ENOTDIR') throw refuse('cannot open it', undefined, error);
    const isLink = lstatSync(entryOf(fd, name), { throwIfNoEntry: false })?.isSymbolicLink() === true;
    // Without the cause, which would name a path of this process.
    throw refuse(
      isLink ? 'it is a symbolic link' : 'it is a file',
      'give the path of a directory, which may not exist yet',
    );
  }
}

function give(
  fd: number,
  user: OsUser,
  { former, refuse }: { readonly former: Former | undefined; readonly refuse: Refuse },
): void {
  const { uid, mode } = fstatSync(fd);
  if (uid === user.uid) return;
  if (uid !== 0)
    throw refuse(
      `it belongs to uid ${uid}, neither to root nor to ${user.name} (uid ${user.uid})`,
      `nothing in it was changed; use a directory of ${user.name}, or a path where none exists yet`,
    );
  if ((mode & 0o022) !== 0)
    throw refuse(
      'it belongs to root and other users can write it',
      'take the permission from them (chmod go-w), or use another directory',
    );
  const entries = entriesOf(fd);
  const made = former?.isOurs(fd) === true ? former.made : [];
  const others = entries.filter((entry) => ruleOf(made, entry) === -1);
  if (others.length > 0)
    throw refuse(
      `it belongs to root and is not empty (${others
        .slice(0, 5)
        .map(({ name }) => name)
        .join(', ')})`,
      'nothing in it was changed; use an empty directory, or a path where none exists yet',
    );
  giveContent(fd, user, made);
  fchmodSync(fd, 0o700);
  fchownSync(fd, user.uid, user.gid);
}

const entriesOf = (dir: number): Dirent[] =>
  readdirSync(`/proc/self/fd/${dir}`, { withFileTypes: true }).filter(({ name }) => name !== 'lost+found');

/** What earlier versions, which stayed root, have left. Only what belongs to root, and to no other place: a second name of a
 *  file could be that of a file of the system, and another file system that of another program. Directories of the user are
 *  not entered: their content is the user's.
 *  @param made `tree`: everything in it */
function giveContent(dir: number, user: OsUser, made: readonly Made[] | 'tree'): void {
  const { dev } = fstatSync(dir);
  for (const entry of entriesOf(dir)) {
    const is = made === 'tree' ? made : made[ruleOf(made, entry)]?.is;
    const fd = is === undefined ? null : openEntry(entryOf(dir, entry.name));
    if (fd === null) continue;
    try {
      const stat = fstatSync(fd);
      if (stat.uid !== 0 || stat.dev !== dev) continue;
      if (stat.isDirectory()) giveContent(fd, user, typeof is === 'object' ? is : 'tree');
      else if (!stat.isFile() || stat.nlink !== 1) continue;
      fchownSync(fd, user.uid, user.gid);
    } finally {
      closeSync(fd);
    }
  }
}

/** Null for links and for what cannot be opened, such as sockets. */
function openEntry(path: string): number | null {
  try {
    return openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch {
    return null;
  }
}
