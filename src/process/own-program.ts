import { accessSync, constants } from 'node:fs';
import { dirname, join } from 'node:path';
import { isSea } from 'node:sea';

export interface OwnProgram {
  readonly command: string;
  readonly args: readonly string[];
  /** The name that it is called by. */
  readonly argv0: string;
}

/** How to start one of our programs from another. The single executable holds all of them and picks one by the name that it is
 *  called by; elsewhere they are files in one directory, and the launcher has put the real path of its own into argv.
 *  @param name such as `compute_ctl` */
export const ownProgram = (name: string): OwnProgram =>
  isSea()
    ? { command: ownFile(), args: [], argv0: name }
    : {
        command: ownFile(),
        args: [join(dirname(process.argv[1] as string), `${name}.js`)],
        argv0: process.argv0,
      };

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
