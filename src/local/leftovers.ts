import { raceAbort } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import { leftoverLimits, stopLeftover } from '../postgres/leftover.ts';
import { endByPidFile } from '../process/pid-file.ts';
import type { LocalDir, LocalState } from './state.ts';
import { timelineDir } from './storage/layout.ts';
import { endOrphans } from './storage/receiver.ts';

/** Long, since compute_ctl stops Postgres itself. */
const computeGraceMs = 30_000;
const storageGraceMs = 10_000;

/** Stops compute_ctl of an earlier run, and its Postgres if it still runs. True when there was one. */
export async function endLeftoverCompute(dir: LocalDir, log: Log, signal: AbortSignal): Promise<boolean> {
  const compute = await endByPidFile(dir.computePid, 'compute_ctl of an earlier run', computeGraceMs, signal);
  const postgres = await raceAbort(stopLeftover(dir.pgdata, leftoverLimits, log, signal), signal);
  return compute || postgres > 0;
}

/** Stops the processes that a killed `up` left running: the compute first, so that its last WAL still arrives.
 *  @returns the names of what it stopped */
export async function endLeftovers(
  dir: LocalDir,
  state: LocalState | null,
  log: Log,
  signal: AbortSignal,
): Promise<string[]> {
  const compute = await endLeftoverCompute(dir, log, signal);
  const storage = await endByPidFile(dir.storagePid, 'the storage of an earlier run', storageGraceMs, signal);
  if (state !== null) await endOrphans(timelineDir(dir.storage, state.tenantId, state.timelineId), signal);
  return [compute ? 'the compute' : '', storage ? 'the storage' : ''].filter((what) => what !== '');
}
