import { chmodSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ownDir } from '../process/files.ts';
import type { LocalDir } from './state.ts';
import { openForAppend } from '../process/regular-file.ts';

/** Creates the directories in that of a compute. */
export function prepareDirs(dir: LocalDir): void {
  for (const path of [dir.storage, dir.log]) ownDir(path, 0o755);
  ownDir(dir.run, 0o700);
  chmodSync(dir.run, 0o700);
}

const largestLogBytes = 10 * 1024 * 1024;

/** Opens a log file for appending. A large one is renamed first; one earlier file is kept. */
export function openLog(dir: LocalDir, name: string): { path: string; fd: number } {
  const path = join(dir.log, `${name}.log`);
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > largestLogBytes) renameSync(path, `${path}.1`);
  return { path, fd: openForAppend(path, 0o640) };
}
