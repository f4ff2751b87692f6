import { existsSync } from 'node:fs';
import { raceAbort } from '../core/clock.ts';
import type { Log } from '../core/log.ts';
import { leftoverLimits, stopLeftover } from '../postgres/leftover.ts';
import { endByPidFile } from '../process/pid-file.ts';
import { systemIdOf } from './claim.ts';
import { clearNext } from './next/places.ts';
import { nodeDir, nodeNames } from './nodes.ts';
import { ownerOfPgdata } from './pgdata.ts';
import type { LocalDir } from './state.ts';
import { type HeldTimeline, scratchPgdata, timelineDir } from './storage/layout.ts';
import { endOrphans } from './storage/receiver.ts';

/** Long, since compute_ctl stops Postgres itself. */
const computeGraceMs = 30_000;
const storageGraceMs = 10_000;

/** Stops compute_ctl of an earlier run, and its Postgres if it still runs. Another's cluster in the place of ours is left
 *  alone. True when there was one.
 *  @param ids the timeline in the storage; null when there is none */
export async function endLeftoverCompute(
  dir: LocalDir,
  ids: HeldTimeline | null,
  log: Log,
  signal: AbortSignal,
): Promise<boolean> {
  const compute = await endByPidFile(dir.computePid, 'compute_ctl of an earlier run', computeGraceMs, signal);
  if (ownerOfPgdata(dir.pgdata, systemIdOf(dir, ids)) === 'foreign') return compute;
  const postgres = await endPostgres(dir.pgdata, log, signal);
  return compute || postgres > 0;
}

const endPostgres = (pgdata: string, log: Log, signal: AbortSignal): Promise<number> =>
  raceAbort(stopLeftover(pgdata, leftoverLimits, log, signal), signal);

/** Stops the processes that a killed `up` left running: the compute first, so that its last WAL still arrives.
 *  @param keepsNext a prepared data directory that is complete stays for the next start
 *  @returns the names of what it stopped */
export async function endLeftovers(
  dir: LocalDir,
  ids: HeldTimeline | null,
  log: Log,
  signal: AbortSignal,
  keepsNext = false,
): Promise<string[]> {
  await clearNext(dir, keepsNext, log, signal);
  // Those of nodes whose own `up` was killed.
  const nodes: string[] = [];
  for (const name of nodeNames(dir))
    if (await endLeftoverCompute(nodeDir(dir, name), ids, log, signal)) nodes.push(name);
  const compute = await endLeftoverCompute(dir, ids, log, signal);
  const storage = await endByPidFile(dir.storagePid, 'the storage of an earlier run', storageGraceMs, signal);
  // That of a cluster that was being created: it has the socket that the next attempt needs.
  const scratch = ids === null ? null : scratchPgdata(dir.storage, ids);
  if (scratch !== null && existsSync(scratch)) await endPostgres(scratch, log, signal);
  if (ids !== null) await endOrphans(timelineDir(dir.storage, ids.tenantId, ids.timelineId), signal);
  return [...nodes, compute ? 'the compute' : '', storage ? 'the storage' : ''].filter((what) => what !== '');
}
