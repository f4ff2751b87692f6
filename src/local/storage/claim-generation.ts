import { ComputeError } from '../../core/errors.ts';
import { type Lsn, formatLsn } from '../../core/lsn.ts';
import type { Timeline } from './timeline.ts';

/** The number for a compute that was made from copies of the files, and so never asks for a base backup. It is given only while nobody
 *  writes, and nothing has changed since the copies: then no compute that has started meanwhile is fenced by it.
 *  @param known the number when the copies were made
 *  @param end where their WAL ends
 *  @throws ComputeError `conflict` */
export async function claimGeneration(
  timeline: Timeline,
  known: number,
  end: Lsn,
  signal: AbortSignal,
): Promise<number> {
  const refuse = (why: string): ComputeError => new ComputeError('conflict', why);
  if (timeline.receiver.attached !== null) throw refuse('a compute is attached');
  return timeline.handOver(async () => {
    if (timeline.generation !== known) throw refuse(`another compute has started since number ${known}`);
    const now = timeline.end();
    if (now !== end) throw refuse(`the timeline ends at ${formatLsn(now)}, not ${formatLsn(end)}`);
    return timeline.nextGeneration();
  }, signal);
}
