import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { withLinked } from '../../core/abort.ts';
import { sleep } from '../../core/clock.ts';
import { ComputeError, codeOf, explained } from '../../core/errors.ts';
import type { Log } from '../../core/log.ts';
import { formatLsn } from '../../core/lsn.ts';
import { poll } from '../../core/poll.ts';
import { repeat } from '../../core/retry.ts';
import { fsyncPath, linkDurable, writeDurable } from '../../process/files.ts';
import type { Tools } from './tools.ts';
import { type TakenBase, takeBase } from './base.ts';
import { type BaseFacts, type TimelineDir, factsFile, factsText, nextNumber, walDir } from './layout.ts';
import { removeFilesSync } from '../../process/made.ts';
import { madeBase } from './made.ts';
import type { Timeline } from './timeline.ts';
import type { Troubles } from './troubles.ts';
import { WalEnd } from './wal-end.ts';

export interface CompactionOptions {
  readonly timeline: Timeline;
  readonly tools: Tools;
  readonly log: Log;
  readonly troubles: Troubles;
  /** True when the disk is nearly full: then a base backup is taken as soon as that frees space. */
  readonly diskIsLow: () => boolean;
  /** Free bytes on the storage's disk, as of the latest look; null before it. */
  readonly freeBytes: () => number | null;
  /** Limit for the WAL since the base backup, in bytes. */
  readonly maxWalBytes: number;
}

const lookMs = 1000;
const retryMs = 30_000;
const arrivalMs = 120_000;

/** Takes a new base backup whenever the WAL since the last one exceeds the limit, and at once when stored WAL is missing,
 *  until `signal` aborts. Never rejects. */
export async function keepCompact(options: CompactionOptions, signal: AbortSignal): Promise<void> {
  const { timeline, troubles } = options;
  const look = async (): Promise<number> => {
    await sleep(lookMs, signal);
    if (timeline.receiver.attached === null || !isDue(options)) return 0;
    checkFits(options);
    await compact(options, signal);
    troubles.works('base');
    return 0;
  };
  const failed = (error: unknown): number => {
    // The compute has gone; the next one is asked.
    if (codeOf(error) === 'conflict') options.log.info(`no new base backup: ${explained(error)}`);
    else troubles.failedWith('base', error);
    return retryMs;
  };
  await repeat(look, signal, failed);
}

/** Less WAL than this is not worth a base backup when the disk is nearly full. */
const worthBytes = 16 * 1024 * 1024;

function isDue({ timeline, troubles, maxWalBytes, diskIsLow }: CompactionOptions): boolean {
  // Static nodes do not hold it up: what they read at may be gone, too.
  if (troubles.of('wal') !== null) return true;
  if (timeline.leases.any()) return false;
  const walBytes = timeline.walBytes();
  return (
    walBytes > maxWalBytes || (diskIsLow() && walBytes > Math.max(worthBytes, timeline.storedBytes().base))
  );
}

/** One that does not fit would take the last free bytes from the WAL of commits that wait.
 *  @throws ComputeError `local_storage`, cause: ENOSPC */
function checkFits({ timeline, freeBytes }: CompactionOptions): void {
  const free = freeBytes();
  // The database may have grown since the last one, and the WAL goes on meanwhile.
  const needed = Math.ceil(1.5 * timeline.storedBytes().base);
  if (free === null || free >= needed) return;
  const mb = (bytes: number): string => `${Math.ceil(bytes / 1024 / 1024)} MB`;
  const cause = Object.assign(new Error(`about ${mb(needed)} are needed, and ${mb(free)} are free`), {
    code: 'ENOSPC',
    syscall: 'statfs',
  });
  throw new ComputeError(
    'local_storage',
    `a new base backup does not fit on the disk of ${timeline.dir.root}`,
    {
      cause,
    },
  );
}

/** Replaces the base backup by a new one of the running compute. The old one and its WAL stay complete until the new one
 *  is on disk.
 *  @throws ComputeError `conflict` when no compute is attached, or it is fenced or lost before the base backup is complete */
export async function compact(
  options: Pick<CompactionOptions, 'timeline' | 'tools' | 'log'>,
  signal: AbortSignal,
): Promise<void> {
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
    const { promotion: _, ...facts } = before;
    finishBase(timeline.dir, fresh, number, { ...facts, ...taken });
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
  const { promotion } = facts;
  const completeMs = Date.now();
  const text = factsText({
    crc32,
    tarBytes,
    ...placed,
    completeMs,
    ...(promotion === undefined ? {} : { promotion }),
  });
  writeDurable(factsFile(fresh), text);
  fsyncPath(fresh);
  const final = join(dir.bases, String(number));
  renameSync(fresh, final);
  fsyncPath(dir.bases);
  linkDurable(dir.current, join('bases', String(number)));
}

async function received(
  timeline: Timeline,
  { startLsn, stopLsn }: TakenBase,
  signal: AbortSignal,
): Promise<void> {
  const { dir, base } = timeline;
  // From its own beginning: before that, WAL may be missing.
  const walEnd = new WalEnd(walDir(dir, base.timeline), base.walSegmentBytes, startLsn, base.timeline);
  const arrived = (): true | null => ((walEnd.find() ?? 0n) < stopLsn ? null : true);
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
