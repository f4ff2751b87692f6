import { accessSync, constants } from 'node:fs';
import { dirname, join } from 'node:path';
import { isSea } from 'node:sea';
import { ComputeError } from '../core/errors.ts';

export interface OwnProgram {
  readonly command: string;
  readonly args: readonly string[];
  /** The name that it is called by. */
  readonly argv0: string;
}

/** How to start one of our programs from another. The single executable holds all of them and picks one by the name that it is
 *  called by; elsewhere they are files in one directory, and the launcher has put the real path of its own into argv.
 *  @param name such as `compute_ctl`
 *  @throws ComputeError `os_user` when this user cannot read it */
export function ownProgram(name: string): OwnProgram {
  if (isSea()) return { command: ownFile(), args: [], argv0: name };
  const problem = unreadablePrograms();
  if (problem !== null) throw new ComputeError('os_user', problem, { hint: readableHint });
  const args = [join(dirname(process.argv[1] as string), `${name}.js`)];
  return { command: ownFile(), args, argv0: process.argv0 };
}

/** Root may have started the programs from where the user that it was given up for cannot read them: a package that was installed
 *  below /root. Null: they can be read. */
export function unreadablePrograms(): string | null {
  if (isSea()) return null;
  const file = process.argv[1] as string;
  try {
    accessSync(file, constants.R_OK);
    return null;
  } catch {
    return `the operating system user (uid ${process.getuid?.()}) cannot read the programs in ${dirname(file)}`;
  }
}

export const readableHint =
  'install them where every user can read them, such as below /usr/local, and not below /root';

/** Where root could enter the directory of the file that runs and the user that root was given up for cannot, the kernel's link
 *  to it still works. */
function ownFile(): string {
  try {
    accessSync(process.execPath, constants.X_OK);
    return process.execPath;
  } catch {
    return '/proc/self/exe';
  }
}
