import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { ComputeError } from '../core/errors.ts';

/** Who Postgres and the files in PGDATA belong to; null: stay who we are. */
export type RunAs = { readonly uid: number; readonly gid: number } | null;

const getentMs = 5000;

/** The user and primary group that Postgres runs as. Null when we are not root: only root can change user.
 *  Looks into /etc/passwd first and asks `getent` (LDAP and the like, 5000 ms at most) after that.
 *  @throws ComputeError `os_user` when there is no such user, or it is root, whom PostgreSQL refuses */
export async function findRunAs(name: string): Promise<RunAs> {
  if (process.getuid?.() !== 0) return null;
  const found =
    passwdEntry(await readFile('/etc/passwd', 'utf8').catch(() => ''), name) ?? (await getent(name));
  if (found === null) {
    throw new ComputeError('os_user', `there is no operating system user "${name}" to run Postgres as`, {
      hint: `PostgreSQL refuses to run as root: create the user (useradd --system ${name}), name another one by option, or start compute_ctl as an ordinary user`,
    });
  }
  if (found.uid === 0) {
    throw new ComputeError(
      'os_user',
      `the operating system user "${name}" is root, and PostgreSQL refuses to run as root`,
      {
        hint: 'name an ordinary user',
      },
    );
  }
  return found;
}

/** Finds `name` in text of the form of passwd(5); broken lines are passed over. */
export function passwdEntry(text: string, name: string): { uid: number; gid: number } | null {
  for (const line of text.split('\n')) {
    const [user, , uid = '', gid = ''] = line.split(':');
    if (user === name && /^\d+$/.test(uid) && /^\d+$/.test(gid))
      return { uid: Number(uid), gid: Number(gid) };
  }
  return null;
}

async function getent(name: string): Promise<{ uid: number; gid: number } | null> {
  try {
    const { stdout } = await promisify(execFile)('getent', ['passwd', '--', name], { timeout: getentMs });
    return passwdEntry(stdout, name);
  } catch {
    // Unknown user, or no getent on this system: both mean that nobody knows the user.
    return null;
  }
}
