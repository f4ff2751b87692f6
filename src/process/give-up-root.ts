import { ComputeError } from '../core/errors.ts';
import { openStderr } from '../core/stderr.ts';
import type { OsUser } from './os-user.ts';

/** Missing in the types of Node. @see https://nodejs.org/api/process.html#processinitgroupsuser-extragroup */
type WithInitgroups = NodeJS.Process & { initgroups?: (user: string, extraGroup: number) => void };

export const isRoot = (): boolean => process.getuid?.() === 0;

/** Turns this process, which must be root's, into the user's, for good: real, effective and saved ids and the groups of all
 *  threads. Afterwards the kernel lets only root look into the process (memory, environment), since it has changed its user.
 *  @throws ComputeError `os_user` when the system does not allow it, or when root could be had again
 *  @see https://man7.org/linux/man-pages/man2/setresuid.2.html */
export function giveUpRoot({ name, uid, gid, home }: OsUser): void {
  const { setgid, setuid, initgroups } = process as WithInitgroups;
  if (setgid === undefined || setuid === undefined || initgroups === undefined)
    throw new ComputeError('os_user', 'this system cannot change the user of a process');
  // Afterwards stderr could not be opened anew where its pipe is root's.
  openStderr();
  try {
    initgroups(name, gid);
    setgid(gid);
    setuid(uid);
  } catch (cause) {
    throw new ComputeError('os_user', `cannot become the operating system user "${name}"`, {
      cause,
      hint: 'the capabilities CAP_SETUID and CAP_SETGID are required, and UV_USE_IO_URING must not be set; or start as that user',
    });
  }
  if (canBeRoot(setuid)) throw new ComputeError('os_user', 'root was given up, but can be regained');
  // The programs that are started from here must not look for their settings in the home directory of root.
  Object.assign(process.env, { HOME: home, USER: name, LOGNAME: name });
}

function canBeRoot(setuid: (id: number) => void): boolean {
  try {
    setuid(0);
    return true;
  } catch {
    return false;
  }
}
