import { chmodSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { checkReachable } from '../postgres/parent.ts';
import { ownDir } from '../process/files.ts';
import type { LocalDir } from './state.ts';
import { openForAppend } from '../process/regular-file.ts';

/** Creates the directories. The OS user of Postgres must be able to enter its own.
 *  @throws ComputeError `pgdata_refused` naming the directory that this user cannot enter */
export async function prepareDirs(dir: LocalDir): Promise<void> {
  mkdirSync(dir.root, { recursive: true, mode: 0o755 });
  for (const path of [dir.storage, dir.log]) mkdirSync(path, { recursive: true, mode: 0o755 });
  ownDir(dir.run, 0o700);
  chmodSync(dir.run, 0o700);
  checkReachable(dir.pgdata);
}

const largestLogBytes = 10 * 1024 * 1024;

/** Opens a log file for appending. A large one is renamed first; one earlier file is kept. */
export function openLog(dir: LocalDir, name: string): { path: string; fd: number } {
  const path = join(dir.log, `${name}.log`);
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > largestLogBytes) renameSync(path, `${path}.1`);
  return { path, fd: openForAppend(path, 0o640) };
}
