import { rmSync } from 'node:fs';
import type { Log } from '../core/log.ts';
import { endProcess, termThenKill } from '../process/end.ts';
import { readPidFile } from '../process/pid-file.ts';
import { endedInOrder } from './next/places.ts';
import { endLeftovers } from './leftovers.ts';
import { endNodes } from './nodes.ts';
import { inspectDir } from './own.ts';
import type { Report } from './report.ts';
import type { LocalDir } from './state.ts';

/** Longer than a stop of Postgres may take. */
const graceMs = 140_000;

/** Stops `up` and everything it started, also when `up` itself has already ended, but no branches. True when there was something.
 *  @throws ComputeError `dir_refused` when the directory is somebody else's */
export async function stopDir(
  dir: LocalDir,
  report: Report,
  log: Log,
  signal: AbortSignal,
): Promise<boolean> {
  const found = inspectDir(dir, 'stop');
  if (found.kind === 'new') return false;
  await endNodes(dir, report, signal);
  const running = readPidFile(dir.upPid);
  if (running !== null) {
    report.progress(`Stopping pid ${running.pid} ...`, '');
    await endProcess(running, 'compute-local up', termThenKill(graceMs), signal);
  }
  const left = await endLeftovers(
    dir,
    found.state ?? found.lost ?? found.resetting,
    log,
    signal,
    endedInOrder(dir),
  );
  rmSync(dir.upPid, { force: true });
  return running !== null || left.length > 0;
}
