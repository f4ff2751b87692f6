import { rmSync } from 'node:fs';
import type { Log } from '../../core/log.ts';
import { endLeftovers } from '../leftovers.ts';
import { endNodes } from '../nodes.ts';
import { endProcess, termThenKill } from '../../process/end.ts';
import { readPidFile } from '../../process/pid-file.ts';
import type { Report } from '../report.ts';
import { inspectDir } from '../own.ts';
import type { LocalDir } from '../state.ts';

/** Longer than a stop of Postgres may take. */
const graceMs = 140_000;

/** Stops `up` and everything it started, also when `up` itself has already ended. Succeeds when nothing is running.
 *  @throws ComputeError `dir_refused` when the directory is somebody else's */
export async function stop(dir: LocalDir, report: Report, log: Log, signal: AbortSignal): Promise<number> {
  const found = inspectDir(dir, 'stop');
  if (found.kind === 'new') {
    report.event('stopped', { was_running: false }, `Nothing is running in ${dir.root}.`);
    return 0;
  }
  await endNodes(dir, report, signal);
  const running = readPidFile(dir.upPid);
  if (running !== null) {
    report.progress(`Stopping pid ${running.pid} ...`, '');
    await endProcess(running, 'compute-local up', termThenKill(graceMs), signal);
  }
  const left = await endLeftovers(dir, found.state ?? found.lost ?? found.resetting, log, signal);
  rmSync(dir.upPid, { force: true });
  const was = running !== null || left.length > 0;
  report.event('stopped', { was_running: was }, was ? 'Stopped.' : `Nothing is running in ${dir.root}.`);
  return 0;
}
