import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { formatLsn } from '../../core/lsn.ts';
import { inline } from '../../core/errors.ts';
import { sleep } from '../../core/clock.ts';
import type { LocalDir, LocalState } from '../state.ts';
import { askStorage } from '../storage-api.ts';
import { type TimelineDir, storedBases, timelineDir, walDir } from '../storage/layout.ts';
import { rangesOf } from '../storage/ranges.ts';
import {
  type StorageStatus,
  baseStatus,
  restorableFrom,
  restorableRange,
} from '../storage/storage-status.ts';
import { WalEnd } from '../storage/wal-end.ts';
import { type Size, type Sizer, sum } from './disk.ts';
import { type Answer, askAt } from './probe.ts';
import { type ProcessFacts, processOf } from './process-facts.ts';

export interface StorageFacts {
  readonly process: ProcessFacts | null;
  /** Null when there is no storage to ask. */
  readonly http: Answer<StorageStatus> | null;
  /** What the disk says, when the storage does not answer. */
  readonly stored: Partial<StorageStatus>;
  /** Why the disk cannot be read. */
  readonly unreadable: string | null;
  readonly bases: Size;
  readonly wal: Size;
}

/** For the moment between the start of a compute and the first WAL from it, and for a connection that was just replaced. */
const attachMs = 1000;
const againMs = 100;

/** @param hasWriter the primary runs, so that the storage must receive its WAL */
export async function storageFacts(
  dir: LocalDir,
  state: LocalState,
  { hasWriter, size }: { readonly hasWriter: boolean; readonly size: Sizer },
): Promise<StorageFacts> {
  const running = processOf(dir.storagePid);
  const files = timelineDir(dir.storage, state.tenantId, state.timelineId);
  const [http, bases, ...wal] = await Promise.all([
    running === null
      ? null
      : askAt(running.pid, state.ports.controlPlane, (signal) => askUntilAttached(state, hasWriter, signal)),
    size(files.bases),
    ...walDirs(files).map((path) => size(path)),
  ]);
  const base = { process: running, http, bases, wal: sum(wal) };
  if (http?.kind === 'answered') return { ...base, stored: {}, unreadable: null };
  try {
    return { ...base, stored: storedStatus(files), unreadable: null };
  } catch (error) {
    return { ...base, stored: {}, unreadable: inline(error) };
  }
}

async function askUntilAttached(
  state: LocalState,
  hasWriter: boolean,
  signal: AbortSignal,
): Promise<StorageStatus> {
  for (let left = attachMs; ; left -= againMs) {
    const status = await askStorage(state, signal);
    if (status.attached || !hasWriter || left <= 0) return status;
    await sleep(againMs, signal);
  }
}

/** The directories with WAL: each PG timeline has its own. */
function walDirs({ wal }: TimelineDir): string[] {
  try {
    const names = readdirSync(dirname(wal)).filter((name) => /^wal(-\d+)?$/.test(name));
    return names.map((name) => join(dirname(wal), name));
  } catch {
    return [];
  }
}

/** The same as the storage would say, as far as the disk has it. */
function storedStatus(files: TimelineDir): Partial<StorageStatus> {
  const bases = storedBases(files);
  const base = bases?.at(-1);
  if (bases === null || base === undefined) return {};
  const { startLsn, stopLsn, walSegmentBytes, timeline } = base;
  const found = new WalEnd(walDir(files, timeline), walSegmentBytes, startLsn, timeline).find();
  const end = found ?? stopLsn;
  const restorable_ranges = rangesOf(files, bases, end).map(restorableRange);
  return {
    end_lsn: formatLsn(end),
    restorable: restorableFrom(bases[0], formatLsn(end)),
    restorable_ranges,
    base: baseStatus(base),
    wal_bytes: Number(end - startLsn),
    wal_segment_bytes: walSegmentBytes,
  };
}
