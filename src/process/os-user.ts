import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { ComputeError } from '../core/errors.ts';
import { environmentForPrograms } from './environment.ts';

/** A user of the operating system, as in passwd(5). */
export interface OsUser {
  readonly name: string;
  readonly uid: number;
  /** The primary group. */
  readonly gid: number;
  readonly home: string;
}

const getentMs = 5000;

/** Finds the user that compute_ctl and Postgres run as. Reads /etc/passwd first, then asks `getent` (LDAP and similar
 *  sources, 5000 ms at most).
 *  @param name or the uid
 *  @throws ComputeError `os_user` when there is no such user, or when it is root, which PostgreSQL refuses */
export async function findOsUser(name: string | number): Promise<OsUser> {
  const found = passwdEntry(passwd(), name) ?? (await getent(name));
  if (found === null) {
    throw new ComputeError('os_user', `the operating system user "${name}" does not exist`, {
      hint: `root is given up for an ordinary user, because PostgreSQL refuses to run as root: create the user (useradd --system ${name}), name another user with --os-user, or start as an ordinary user`,
    });
  }
  if (found.uid === 0) {
    throw new ComputeError(
      'os_user',
      `the operating system user "${name}" is root, and PostgreSQL refuses to run as root`,
      { hint: 'name an ordinary user with --os-user' },
    );
  }
  return found;
}

/** Not asynchronous: that would start the thread pool for one small file. */
function passwd(): string {
  try {
    return readFileSync('/etc/passwd', 'utf8');
  } catch {
    return '';
  }
}

/** Finds a name, or a uid, in the format of passwd(5); invalid lines are ignored. */
export function passwdEntry(text: string, wanted: string | number): OsUser | null {
  for (const line of text.split('\n')) {
    const [name = '', , uid = '', gid = '', , home = '/'] = line.split(':');
    if (!/^\d+$/.test(uid) || !/^\d+$/.test(gid)) continue;
    if (wanted === name || wanted === Number(uid)) return { name, uid: Number(uid), gid: Number(gid), home };
  }
  return null;
}

async function getent(name: string | number): Promise<OsUser | null> {
  try {
    const { execFile } = await import('node:child_process');
    const { stdout } = await promisify(execFile)('getent', ['passwd', '--', String(name)], {
      timeout: getentMs,
      env: environmentForPrograms(process.env),
    });
    return passwdEntry(stdout, name);
  } catch {
    // The user is unknown, or this system does not have getent: the user cannot be found either way.
    return null;
  }
}
