import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What Docker leaves to root by default. @see https://docs.docker.com/engine/security/ */
const dockersCapabilities = [
  'chown',
  'dac_override',
  'fowner',
  'fsetid',
  'kill',
  'setgid',
  'setuid',
  'setpcap',
  'net_bind_service',
  'net_raw',
  'sys_chroot',
  'mknod',
  'audit_write',
  'setfcap',
].map((name) => `+${name}`);

interface User {
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
}

/** By a name of the image, or `UID[:GID]`, which need not have a name there. */
export function userIn(root: string, user: string): User {
  const [name = '', group] = user.split(':');
  const entries = readFileSync(join(root, 'etc/passwd'), 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const entry = entries.find(([known, , uid]) => known === name || uid === name);
  const uid = Number(entry?.[2] ?? name);
  return { uid, gid: Number(group ?? entry?.[3] ?? 0), home: entry?.[5] ?? '/' };
}

/** The words before a command that is to run as a user of the image, with the capabilities that a container has: Docker's for root,
 *  else none. */
export function asUser(root: string, user: string, dropAll = false): string[] {
  const { uid, gid } = userIn(root, user === '' ? '0' : user);
  const ids = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'];
  const kept = uid === 0 && !dropAll ? dockersCapabilities : [];
  return [
    'setpriv',
    ...ids,
    '--inh-caps=-all',
    `--bounding-set=${['-all', ...kept].join(',')}`,
    '--no-new-privs',
  ];
}
