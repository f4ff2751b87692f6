import type { Log } from '../../core/log.ts';
import { endBranches } from '../branches/end.ts';
import { findBranch, missing } from '../branches/tree.ts';
import { endProcess, termThenKill } from '../../process/end.ts';
import { readPidFile } from '../../process/pid-file.ts';
import { mainName } from '../names.ts';
import { nodeDir, nodeNames } from '../nodes.ts';
import type { Report } from '../report.ts';
import type { LocalDir } from '../state.ts';
import { stopDir } from '../stop-dir.ts';

/** Longer than a stop of Postgres may take. */
const graceMs = 140_000;

/** Stops a compute. Succeeds when it does not run.
 *  @param name null: everything in the directory
 *  @throws ComputeError `dir_refused` when the directory is somebody else's; `not_found` */
export async function stop(
  dir: LocalDir,
  name: string | null,
  report: Report,
  log: Log,
  signal: AbortSignal,
): Promise<number> {
  const was = await stopped(dir, name, report, log, signal);
  const nothing = name === null ? `Nothing is running in ${dir.root}.` : `"${name}" is not running.`;
  report.event('stopped', { was_running: was }, was ? 'Stopped.' : nothing);
  return 0;
}

async function stopped(
  dir: LocalDir,
  name: string | null,
  report: Report,
  log: Log,
  signal: AbortSignal,
): Promise<boolean> {
  if (name === null) {
    const main = await stopDir(dir, report, log, signal);
    return (await endBranches(dir, report, log, signal)) || main;
  }
  if (name === mainName) return stopDir(dir, report, log, signal);
  if (nodeNames(dir).includes(name)) {
    const running = readPidFile(nodeDir(dir, name).upPid);
    if (running === null) return false;
    await endProcess(running, `compute-local up of ${name}`, termThenKill(graceMs), signal);
    return true;
  }
  const branch = findBranch(dir, name);
  if (branch === null) throw missing(dir, name);
  return stopDir(branch.dir, report, log, signal);
}
