import { readlink, realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { ComputeError } from '../core/errors.ts';

const mostLinks = 40;

/** A data directory's canonical path: absolute, symbolic links followed (also the last one). It need not exist.
 *  @throws ComputeError `pgdata_refused` when its parent directory does not exist */
export async function canonicalPath(pgdata: string): Promise<string> {
  let path = resolve(pgdata);
  for (let links = 0; links < mostLinks; links++) {
    const parent = await realParent(path, pgdata);
    const here = join(parent, basename(path));
    const target = await linkTarget(here);
    if (target === null) return here;
    path = resolve(parent, target);
  }
  throw new ComputeError(
    'pgdata_refused',
    `the data directory ${pgdata} is a symbolic link in a loop of symbolic links`,
  );
}

async function realParent(path: string, pgdata: string): Promise<string> {
  if (path === '/') {
    throw new ComputeError('pgdata_refused', 'the root directory cannot be the data directory');
  }
  try {
    return await realpath(dirname(path));
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const why = code === 'ENOENT' ? 'does not exist' : `cannot be used (${code})`;
    throw new ComputeError('pgdata_refused', `the parent directory ${dirname(path)} of ${pgdata} ${why}`, {
      cause,
      hint: `create it: mkdir -p ${dirname(path)}`,
    });
  }
}

async function linkTarget(path: string): Promise<string | null> {
  try {
    return await readlink(path);
  } catch (error) {
    // EINVAL: it exists, but is not a link.
    if (['EINVAL', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
}
