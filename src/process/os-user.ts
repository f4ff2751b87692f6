import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { ComputeError } from '../core/errors.ts';

/** The owner of Postgres and of the files in PGDATA; null: our own user. */
export type RunAs = { readonly uid: number; readonly gid: number } | null;

const getentMs = 5000;

/** The user and primary group that Postgres runs as. Null when we are not root: only root can change user.
 *  Reads /etc/passwd first, then runs `getent` (LDAP and similar, 5000 ms at most).
 *  @throws ComputeError `os_user` when the user does not exist, or is root, which PostgreSQL refuses */
export async function findRunAs(name: string): Promise<RunAs> {
  if (process.getuid?.() !== 0) return null;
  const found =
    passwdEntry(await readFile('/etc/passwd', 'utf8').catch(() => ''), name) ?? (await getent(name));
  if (found === null) {
    throw new ComputeError('os_user', `there is no operating system user "${name}" to run Postgres as`, {
      hint: `PostgreSQL refuses to run as root: create the user (useradd --system ${name}), set another user with the option, or start compute_ctl as an ordinary user`,
    });
  }
  if (found.uid === 0) {
    throw new ComputeError(
      'os_user',
      `the operating system user "${name}" is root, and PostgreSQL refuses to run as root`,
      {
        hint: 'set the option to an ordinary user',
      },
    );
  }
  return found;
}

/** Finds `name` in text in the format of passwd(5); skips malformed lines. */
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
    // The user is unknown, or this system has no getent: in both cases the user does not exist.
    return null;
  }
}
