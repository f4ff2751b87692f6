import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { withLinked } from '../../core/abort.ts';
import { sleep } from '../../core/clock.ts';
import { ComputeError, explained } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import { formatLsn } from '../../core/lsn.ts';
import { poll } from '../../core/poll.ts';
import { repeat } from '../../core/retry.ts';
import { fsyncPath, linkDurable, writeDurable } from '../../process/files.ts';
import type { Tools } from './tools.ts';
import { type TakenBase, takeBase } from './base.ts';
import { type BaseFacts, type TimelineDir, factsFile, factsText, nextNumber } from './layout.ts';
import { removeFilesSync } from '../../process/made.ts';
import { madeBase } from './made.ts';
import type { Timeline } from './timeline.ts';

export interface CompactionOptions {
  readonly timeline: Timeline;
  readonly tools: Tools;
  readonly log: Log;
  /** Limit for the WAL since the base backup, in bytes. */
  readonly maxWalBytes: number;
}

const lookMs = 1000;
const retryMs = 30_000;
const arrivalMs = 120_000;

/** Takes a new base backup whenever the WAL since the last one exceeds the limit, until `signal` aborts. Never rejects. */
export async function keepCompact(options: CompactionOptions, signal: AbortSignal): Promise<void> {
  const look = async (): Promise<number> => {
    await sleep(lookMs, signal);
    const { timeline, maxWalBytes } = options;
    const due = timeline.walBytes() > maxWalBytes && !timeline.leases.any();
    if (timeline.receiver.attached !== null && due) await compact(options, signal);
    return 0;
  };
  const failed = (error: unknown): number => {
    options.log.error(`could not take a new base backup; the old one stays in use: ${explained(error)}`);
    return retryMs;
  };
  await repeat(look, signal, failed);
}

/** Replaces the base backup by a new one of the running compute. The old one and its WAL stay complete until the new one
 *  is on disk.
 *  @throws ComputeError `conflict` when no compute is attached, or it is fenced or lost before the base backup is complete */
export async function compact(options: CompactionOptions, signal: AbortSignal): Promise<void> {
  const { timeline, tools, log } = options;
  const { server } = timeline;
  const attached = timeline.receiver.attached;
  if (attached === null)
    throw new ComputeError('conflict', 'a new base backup requires a running compute, but none is attached');
  const before = timeline.base;
  const number = nextNumber(timeline.dir);
  const fresh = join(timeline.dir.bases, `${number}.new`);
  log.info({ wal_bytes: timeline.walBytes() }, 'taking a new base backup');
  try {
    const taken = await withLinked([signal, attached], async (both) => {
      const base = await takeBase(tools, server, fresh, both);
      await received(timeline, base, both);
      return base;
    });
    // Nothing is awaited from here on, so that no other compute can become the writer in between.
    finishBase(timeline.dir, fresh, number, { ...before, ...taken });
    timeline.useNewBase();
    log.info({ base: number, lsn: formatLsn(taken.startLsn) }, 'the new base backup is in use');
  } catch (error) {
    removeFilesSync(fresh, madeBase);
    signal.throwIfAborted();
    if (attached.aborted)
      throw new ComputeError('conflict', 'the compute was lost during the base backup', { cause: error });
    throw error;
  }
}

/** Writes a base backup's description, makes it durable and makes it the current one. */
export function finishBase(dir: TimelineDir, fresh: string, number: number, facts: BaseFacts): void {
  const { crc32, tarBytes, startLsn, stopLsn, systemId, postgresMajor, walSegmentBytes, timeline } = facts;
  const placed = { startLsn, stopLsn, systemId, postgresMajor, walSegmentBytes, timeline };
  const text = factsText({ crc32, tarBytes, ...placed });
  writeDurable(factsFile(fresh), text);
  fsyncPath(fresh);
  const final = join(dir.bases, String(number));
  renameSync(fresh, final);
  fsyncPath(dir.bases);
  linkDurable(dir.current, join('bases', String(number)));
}

async function received(timeline: Timeline, { stopLsn }: TakenBase, signal: AbortSignal): Promise<void> {
  const arrived = (): true | null => (timeline.end() < stopLsn ? null : true);
  if ((await poll(arrived, { everyMs: 20, limitMs: arrivalMs }, signal)) === null) {
    throw new ComputeError(
      'deadline',
      `the WAL up to ${formatLsn(stopLsn)} did not arrive within ${arrivalMs} ms`,
    );
  }
  // pg_receivewal has written this WAL, but maybe not fsynced it yet: the base backup must not be ahead of it.
  timeline.syncFrom(stopLsn);
  signal.throwIfAborted();
}
