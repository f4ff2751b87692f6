import { join } from 'node:path';
import { ComputeError } from '../core/errors.ts';
import { type PgdataLock, lockPgdata } from '../postgres/lock.ts';
import { readPidFile } from '../process/pid-file.ts';
import { type LocalDir, commandFor } from './state.ts';

/** A lock against a second `apply` in the directory.
 *  @throws ComputeError `conflict` */
export async function lockApply(dir: LocalDir): Promise<PgdataLock> {
  try {
    return await lockPgdata(join(dir.root, 'apply'));
  } catch (error) {
    if (!(error instanceof ComputeError) || error.code !== 'pgdata_locked') throw error;
    throw new ComputeError('conflict', `another compute-local apply is running in ${dir.root}`, {
      hint: 'wait until it has ended',
    });
  }
}

/** A lock against a second `up` or `reset` in the directory. The kernel releases it however its holder ends.
 *  @throws ComputeError `conflict` */
export async function lockDir(
  dir: LocalDir,
  hint = `stop it with: ${commandFor(dir, 'stop')}, or use another directory with --dir`,
): Promise<PgdataLock> {
  try {
    return await lockPgdata(join(dir.root, 'up'));
  } catch (error) {
    if (!(error instanceof ComputeError) || error.code !== 'pgdata_locked') throw error;
    const holder = readPidFile(dir.upPid);
    const who = holder === null ? 'another compute-local' : `compute-local with pid ${holder.pid}`;
    throw new ComputeError('conflict', `${who} is already running in ${dir.root}`, { hint });
  }
}
