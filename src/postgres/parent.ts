import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ComputeError } from '../core/errors.ts';
import type { RunAs } from '../process/os-user.ts';
import { runProcess } from '../process/run-process.ts';

const testMs = 5000;

/** Makes sure that Postgres, which runs as another user, can reach its data directory.
 *  @param path absolute, no symbolic links
 *  @throws ComputeError `pgdata_refused` naming the directory that it cannot enter */
export async function checkReachable(path: string, runAs: RunAs, signal: AbortSignal): Promise<void> {
  if (runAs === null) return;
  for (const dir of ancestors(path)) {
    const { mode, uid, gid } = await stat(dir);
    if (mayEnter({ mode, uid, gid }, runAs) || (await entersInFact(dir, runAs, signal))) continue;
    throw new ComputeError('pgdata_refused', `the Postgres user (uid ${runAs.uid}) cannot enter ${dir}`, {
      hint: `allow it (chmod a+x ${dir}), or use a data directory elsewhere, e.g. below /var/lib/postgresql`,
    });
  }
}

/** Checks the mode bits. Only one class applies: owner, then group, then others. */
export function mayEnter(
  dir: { readonly mode: number; readonly uid: number; readonly gid: number },
  runAs: { readonly uid: number; readonly gid: number },
): boolean {
  const bit = dir.uid === runAs.uid ? 0o100 : dir.gid === runAs.gid ? 0o010 : 0o001;
  return (dir.mode & bit) !== 0;
}

/** Tries it: access lists can allow what the mode bits deny. */
async function entersInFact(dir: string, runAs: RunAs, signal: AbortSignal): Promise<boolean> {
  const options = { command: 'test', args: ['-x', dir], cwd: '/', runAs, limitMs: testMs };
  return (await runProcess(options, signal)).code === 0;
}

function ancestors(path: string): string[] {
  const found: string[] = [];
  for (let dir = dirname(path); dir !== dirname(dir); dir = dirname(dir)) found.unshift(dir);
  return ['/', ...found];
}
