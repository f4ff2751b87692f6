import { constants } from 'node:fs';
import { copyFile, lchown, lstat, open, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { ComputeError } from '../core/errors.ts';
import type { RunAs } from '../process/os-user.ts';
import { writeAtomically } from '../process/files.ts';
import { ensureLine } from './ensure-line.ts';

const hbaLine = 'host\tall\t\tall\t\tall\t\tmd5';

/** Allows every user to log in with a password, from every address. The base backup's lines come first and trust loopback.
 *  `md5` covers SCRAM verifiers too. An existing line counts even if its blanks differ.
 *  @returns whether the file was changed */
export const ensureHbaLine = (pgdata: string, runAs: RunAs): Promise<boolean> =>
  ensureLine(
    join(pgdata, 'pg_hba.conf'),
    hbaLine,
    { runAs, mode: 0o600 },
    (line) => words(line) === words(hbaLine),
  );

const words = (line: string): string => line.trim().split(/\s+/).join(' ');

const subscribersLine = 'neon.disable_logical_replication_subscribers=false';

/** Enables logical replication subscribers again, once subscriptions were dropped. Overrides the earlier line.
 *  @returns whether the file was changed */
export const ensureSubscribersEnabled = (pgdata: string, runAs: RunAs): Promise<boolean> =>
  ensureLine(join(pgdata, 'postgresql.conf'), subscribersLine, { runAs });

/** Replaces the base backup's directory `pg_dynshmem` by a link to shared memory. An existing link stays as it is.
 *  @throws ComputeError `basebackup` when the base backup has no such directory */
export async function linkDynamicSharedMemory(pgdata: string, runAs: RunAs): Promise<void> {
  const path = join(pgdata, 'pg_dynshmem');
  const stat = await lstat(path).catch((cause: unknown) => {
    throw new ComputeError('basebackup', `the base backup has no directory pg_dynshmem`, { cause });
  });
  if (stat.isSymbolicLink()) return;
  await rm(path, { recursive: true });
  await symlink('/dev/shm/', path);
  if (runAs !== null) await lchown(path, runAs.uid, runAs.gid);
}

/** Copies `zenith.signal` to `neon.signal`: older pageservers send only the former name.
 *  @returns whether it was copied */
export async function copyFormerSignal(pgdata: string, runAs: RunAs): Promise<boolean> {
  const signalFile = join(pgdata, 'neon.signal');
  try {
    await copyFile(join(pgdata, 'zenith.signal'), signalFile, constants.COPYFILE_EXCL);
  } catch (error) {
    if (['EEXIST', 'ENOENT'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
  if (runAs !== null) await lchown(signalFile, runAs.uid, runAs.gid);
  return true;
}

/** Makes Postgres start as a standby; an existing file stays as it is. */
export async function createStandbySignal(pgdata: string, runAs: RunAs): Promise<void> {
  const file = await open(join(pgdata, 'standby.signal'), 'a');
  try {
    if (runAs !== null) await file.chown(runAs.uid, runAs.gid);
  } finally {
    await file.close();
  }
}

export const overrideFile = 'compute_ctl_temp_override.conf';

/** Removes the size limit while roles, databases and extensions are changed; takes effect after a reload. */
export const writeOverride = async (pgdata: string, runAs: RunAs): Promise<void> =>
  writeAtomically(join(pgdata, overrideFile), 'neon.max_cluster_size=-1', { runAs });

/** Removes the override, also after a failure; takes effect after a reload. */
export const emptyOverride = async (pgdata: string, runAs: RunAs): Promise<void> =>
  writeAtomically(join(pgdata, overrideFile), '', { runAs });
