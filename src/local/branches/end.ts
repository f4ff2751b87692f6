import type { Log } from '../../core/log.ts';
import { readPidFile } from '../../process/pid-file.ts';
import type { Report } from '../report.ts';
import type { LocalDir } from '../state.ts';
import { stopDir } from '../stop-dir.ts';
import { branchDir, namesIn } from './tree.ts';

/** Passes nothing on. */
export const silent: Report = { event: () => {}, progress: () => {} };

/** Stops all branches, side by side. True when one was running. */
export async function endBranches(
  dir: LocalDir,
  report: Report,
  log: Log,
  signal: AbortSignal,
): Promise<boolean> {
  const names = namesIn(dir);
  const running = names.filter((name) => readPidFile(branchDir(dir, name).upPid) !== null);
  if (running.length > 0) report.progress(`Stopping ${running.join(', ')} ...`, '');
  const were = await Promise.allSettled(
    names.map((name) => stopDir(branchDir(dir, name), silent, log, signal)),
  );
  // One that cannot be stopped does not keep the others running.
  for (const one of were) if (one.status === 'rejected') throw one.reason;
  return were.some((one) => one.status === 'fulfilled' && one.value);
}
