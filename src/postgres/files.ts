import { closeSync } from 'node:fs';
import { lstat, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { ComputeError } from '../core/errors.ts';
import { writeAtomically } from '../process/files.ts';
import { copySmall, openForAppend } from '../process/regular-file.ts';
import { ensureLine } from './ensure-line.ts';

const hbaLine = 'host\tall\t\tall\t\tall\t\tmd5';

/** Allows every user to log in with a password, from every address. The base backup's lines come first and trust loopback.
 *  `md5` covers SCRAM verifiers too. An existing line counts even if its blanks differ.
 *  @returns whether the file was changed */
export const ensureHbaLine = (pgdata: string): Promise<boolean> =>
  ensureLine(join(pgdata, 'pg_hba.conf'), hbaLine, { mode: 0o600 }, (line) => words(line) === words(hbaLine));

const words = (line: string): string => line.trim().split(/\s+/).join(' ');

const subscribersLine = 'neon.disable_logical_replication_subscribers=false';

/** Enables logical replication subscribers again, once subscriptions were dropped. Overrides the earlier line.
 *  @returns whether the file was changed */
export const ensureSubscribersEnabled = (pgdata: string): Promise<boolean> =>
  ensureLine(join(pgdata, 'postgresql.conf'), subscribersLine, {});

/** Replaces the base backup's directory `pg_dynshmem` by a link to shared memory. An existing link stays as it is.
 *  @throws ComputeError `basebackup` when the base backup has no such directory */
export async function linkDynamicSharedMemory(pgdata: string): Promise<void> {
  const path = join(pgdata, 'pg_dynshmem');
  const stat = await lstat(path).catch((cause: unknown) => {
    throw new ComputeError('basebackup', `the base backup has no directory pg_dynshmem`, { cause });
  });
  if (stat.isSymbolicLink()) return;
  await rm(path, { recursive: true });
  await symlink('/dev/shm/', path);
}

/** Copies `zenith.signal` to `neon.signal`: older pageservers send only the former name.
 *  @returns whether it was copied */
export const copyFormerSignal = (pgdata: string): boolean =>
  copySmall(join(pgdata, 'zenith.signal'), join(pgdata, 'neon.signal'));

/** Makes Postgres start as a standby; an existing file stays as it is.
 *  @throws ComputeError `pgdata_refused` when something else is in its place */
export function createStandbySignal(pgdata: string): void {
  closeSync(openForAppend(join(pgdata, 'standby.signal'), 0o600));
}

export const overrideFile = 'compute_ctl_temp_override.conf';

/** Removes the size limit while roles, databases and extensions are changed; takes effect after a reload. */
export const writeOverride = async (pgdata: string): Promise<void> =>
  writeAtomically(join(pgdata, overrideFile), 'neon.max_cluster_size=-1', {});

/** Removes the override, also after a failure; takes effect after a reload. */
export const emptyOverride = async (pgdata: string): Promise<void> =>
  writeAtomically(join(pgdata, overrideFile), '', {});
