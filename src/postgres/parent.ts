import { accessSync, constants } from 'node:fs';
import { dirname } from 'node:path';
import { ComputeError } from '../core/errors.ts';

/** Makes sure that the Postgres user, which this process runs as, can reach the data directory.
 *  @param path absolute, no symbolic links
 *  @throws ComputeError `pgdata_refused` naming the first directory that this user cannot enter */
export function checkReachable(path: string): void {
  for (const dir of ancestors(path)) {
    if (mayEnter(dir)) continue;
    throw new ComputeError(
      'pgdata_refused',
      `the Postgres user (uid ${process.getuid?.()}) cannot enter ${dir}`,
      {
        hint: `allow it (chmod a+x ${dir}), or use a data directory elsewhere, e.g. below /var/lib/postgresql`,
      },
    );
  }
}

function mayEnter(dir: string): boolean {
  try {
    accessSync(dir, constants.X_OK);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'EACCES';
  }
}

function ancestors(path: string): string[] {
  const found: string[] = [];
  for (let dir = dirname(path); dir !== dirname(dir); dir = dirname(dir)) found.unshift(dir);
  return ['/', ...found];
}
