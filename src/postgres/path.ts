import { lstat, realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { ComputeError } from '../core/errors.ts';
import { checkReachable } from './parent.ts';

/** A data directory's canonical path: absolute, symbolic links above it followed. It need not exist.
 *  @throws ComputeError `pgdata_refused` when it is a symbolic link itself, or when its parent directory does not exist */
export async function canonicalPath(pgdata: string): Promise<string> {
  const path = resolve(pgdata);
  const here = join(await realParent(path, pgdata), basename(path));
  if ((await lstat(here).catch(() => null))?.isSymbolicLink() === true) {
    throw new ComputeError('pgdata_refused', `the data directory ${pgdata} is a symbolic link`, {
      hint: 'name the directory that the link leads to: a link could lead elsewhere at the next start',
    });
  }
  return here;
}

async function realParent(path: string, pgdata: string): Promise<string> {
  if (path === '/') {
    throw new ComputeError('pgdata_refused', 'the root directory cannot be the data directory');
  }
  try {
    return await realpath(dirname(path));
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'EACCES') checkReachable(path);
    const why = code === 'ENOENT' ? 'does not exist' : `cannot be used (${code})`;
    throw new ComputeError('pgdata_refused', `the parent directory ${dirname(path)} of ${pgdata} ${why}`, {
      cause,
      hint: `create it: mkdir -p ${dirname(path)}`,
    });
  }
}
