import { closeSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { ComputeError } from '../../core/errors.ts';
import { type Lsn, formatLsn, parseLsn } from '../../core/lsn.ts';
import { type Made, holdsMade, removeFilesSync, ruleOf } from '../../process/made.ts';
import { openDirectory } from '../../process/dir-fd.ts';
import { finishedBase, isId, madeTimeline, madeWal, unfinishedBase } from './made.ts';
import { firstTimeline } from './segments.ts';
import { readSmall } from '../../process/regular-file.ts';

/** The paths of one timeline on disk. */
export interface TimelineDir {
  readonly root: string;
  /** Finished base backups, by number. */
  readonly bases: string;
  /** Symbolic link to the current base backup. */
  readonly current: string;
  /** The directory of pg_receivewal, for the first PG timeline: see walDir. */
  readonly wal: string;
  readonly receiverPid: string;
  /** Leased LSNs: see leases.ts. */
  readonly leases: string;
  /** Which compute may write: see fence.ts. */
  readonly fence: string;
}

export const timelineDir = (storageDir: string, tenantId: string, timelineId: string): TimelineDir => {
  const root = join(storageDir, tenantId, timelineId);
  return {
    root,
    bases: join(root, 'bases'),
    current: join(root, 'current'),
    wal: join(root, 'wal'),
    receiverPid: join(root, 'receiver.pid'),
    leases: join(root, 'leases.json'),
    fence: join(root, 'fence.json'),
  };
};

/** Name of a timeline that is being created. */
export const unfinishedName = (timelineId: string): string => `${timelineId}.new`;

/** The data directory of the cluster that a timeline is being created from. */
export const scratchPgdata = (storageDir: string, { tenantId, timelineId }: HeldTimeline): string =>
  join(storageDir, tenantId, unfinishedName(timelineId), 'scratch', 'data');

/** Directory of a PG timeline's WAL. */
export const walDir = (dir: TimelineDir, timeline: number): string =>
  timeline === firstTimeline ? dir.wal : `${dir.wal}-${timeline}`;

/** One stored base backup. */
export interface Base {
  readonly number: number;
  readonly dir: string;
  /** The tar entries without the end of the archive, as raw deflate without a final block. */
  readonly file: string;
  readonly crc32: number;
  /** Length of the tar entries. */
  readonly tarBytes: number;
  readonly startLsn: Lsn;
  readonly stopLsn: Lsn;
  readonly systemId: string;
  readonly postgresMajor: number;
  readonly walSegmentBytes: number;
  /** The PG timeline: a promotion begins a new one. */
  readonly timeline: number;
  /** When it was complete, in milliseconds since 1970. Earlier versions left it out. */
  readonly completeMs?: number;
  /** Of the first base backup after a promotion. */
  readonly promotion?: Promotion;
}

/** What was between the end of a PG timeline and the first base backup of the next one. */
export interface Promotion {
  /** The former PG timeline. */
  readonly from: number;
  /** Where it ended. */
  readonly lsn: Lsn;
  /** Of the commits before the end of the base backup, in milliseconds since 1970; null: there was none. */
  readonly firstCommitMs: number | null;
}

export type BaseFacts = Omit<Base, 'number' | 'dir' | 'file'>;

export const baseFile = (dir: string): string => join(dir, 'base.deflate');
export const factsFile = (dir: string): string => join(dir, 'base.json');

export const factsText = (facts: BaseFacts): string =>
  `${JSON.stringify(facts, (_, value: unknown) => (typeof value === 'bigint' ? formatLsn(value as Lsn) : value), 2)}\n`;

/** The current base backup, null when the timeline has none yet.
 *  @throws ComputeError `local_storage` when its description is damaged */
export function currentBase(dir: TimelineDir): Base | null {
  let name: string;
  try {
    name = basename(readlinkSync(dir.current));
  } catch {
    return null;
  }
  return readBase(dir, Number(name));
}

/** @throws ComputeError `local_storage` when its description is damaged */
function readBase(dir: TimelineDir, number: number): Base {
  const base = join(dir.bases, String(number));
  try {
    const facts = JSON.parse(readSmall(factsFile(base))) as Record<string, unknown>;
    const [startLsn, stopLsn] = [parseLsn(String(facts['startLsn'])), parseLsn(String(facts['stopLsn']))];
    if (startLsn === null || stopLsn === null) throw new Error('an LSN is missing or invalid');
    const { promotion, ...rest } = facts;
    return {
      ...(rest as unknown as BaseFacts),
      ...(promotion === undefined ? {} : { promotion: readPromotion(promotion) }),
      // Missing in base backups of versions without promotions.
      timeline: typeof facts['timeline'] === 'number' ? facts['timeline'] : firstTimeline,
      startLsn,
      stopLsn,
      number,
      dir: base,
      file: baseFile(base),
    };
  } catch (cause) {
    throw new ComputeError('local_storage', `could not read the base backup in ${base}`, {
      cause,
      hint: 'restore the storage from a backup; where a newer version of compute-local wrote it, use that version',
    });
  }
}

function readPromotion(value: unknown): Promotion {
  const { from, lsn, firstCommitMs } = value as Record<keyof Promotion, unknown>;
  const parsed = parseLsn(String(lsn));
  if (parsed === null) throw new Error('an LSN is missing or invalid');
  return {
    from: Number(from),
    lsn: parsed,
    firstCommitMs: firstCommitMs === null ? null : Number(firstCommitMs),
  };
}

const finishedNumbers = ({ bases }: TimelineDir): number[] =>
  readdirSync(bases)
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .toSorted((a, b) => a - b);

/** Base backups, the oldest first. */
export type Bases = readonly [Base, ...Base[]];

/** Those that can be restored from: the current one is the last. Null: there is none. One that is damaged or was removed
 *  meanwhile is left out; a higher number than the current one's is of a crash.
 *  @throws ComputeError `local_storage` when the description of the current one is damaged */
export function storedBases(dir: TimelineDir): Bases | null {
  const current = currentBase(dir);
  if (current === null) return null;
  return [...readOlder(dir, current).readable, current] as unknown as Bases;
}

/** Numbers of older base backups that are there and cannot be read now: they may be whole, and are not to be removed. */
export const unreadableBases = (dir: TimelineDir, current: Base): readonly number[] =>
  readOlder(dir, current).unreadable;

function readOlder(dir: TimelineDir, current: Base): { readable: Base[]; unreadable: number[] } {
  const [readable, unreadable]: [Base[], number[]] = [[], []];
  for (const number of finishedNumbers(dir).filter((one) => one < current.number)) {
    try {
      readable.push(readBase(dir, number));
    } catch (error) {
      const { code } = (error as ComputeError).cause as NodeJS.ErrnoException;
      if (code !== 'ENOENT') unreadable.push(number);
    }
  }
  return { readable, unreadable };
}

/** When a base backup was complete, in milliseconds since 1970. A copy of the directory may not keep the time of a file.
 *  @throws the system's error */
export const takenMs = ({ dir, completeMs }: Base): number => completeMs ?? statSync(factsFile(dir)).mtimeMs;

/** Removes incomplete base backups after a crash. Only to be called before a compaction can run. */
export const removeUnfinished = ({ bases }: TimelineDir): void =>
  removeBases(bases, unfinishedBase, () => true);

/** Removes every finished base backup except these. */
export function removeOtherBases({ bases }: TimelineDir, keep: readonly Pick<Base, 'number'>[]): void {
  const names = new Set(keep.map(({ number }) => String(number)));
  removeBases(bases, finishedBase, (name) => !names.has(name));
}

function removeBases(bases: string, made: Made, which: (name: string) => boolean): void {
  for (const entry of readdirSync(bases, { withFileTypes: true })) {
    if (ruleOf([made], entry) !== -1 && which(entry.name))
      removeFilesSync(join(bases, entry.name), made.is as readonly Made[]);
  }
}

/** Higher than that of every base backup, also one that a crash has left. */
export const nextNumber = (dir: TimelineDir): number => 1 + (finishedNumbers(dir).at(-1) ?? 0);

/** Removes the WAL of PG timelines that ended in a promotion before the current base backup, and of which no base backup is kept.
 *  Called at the storage's next start, so that replicas had time to read it. */
export function removeFormerWal(dir: TimelineDir, kept: Bases): void {
  const needed = new Set(kept.map(({ timeline }) => timeline));
  const { timeline } = kept.at(-1) as Base;
  for (let former = timeline - 1; former >= firstTimeline; former--)
    if (!needed.has(former)) removeWal(walDir(dir, former));
}

export const removeWal = (wal: string): void => removeFilesSync(wal, madeWal);

/** A Neon timeline that is complete, by its name. */
export interface HeldTimeline {
  readonly tenantId: string;
  readonly timelineId: string;
}

/** The Neon timelines of which the directory of a storage holds something, also damaged ones. */
export function heldTimelines(storageDir: string): HeldTimeline[] {
  return ids(storageDir).flatMap((tenantId) =>
    ids(join(storageDir, tenantId))
      .filter((timelineId) => holdsData(join(storageDir, tenantId, timelineId)))
      .map((timelineId) => ({ tenantId, timelineId })),
  );
}

function holdsData(path: string): boolean {
  const dir = openDirectory(path);
  try {
    return holdsMade(dir, madeTimeline);
  } finally {
    closeSync(dir);
  }
}

function ids(path: string): string[] {
  try {
    const entries = readdirSync(path, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory() && isId(entry.name)).map(({ name }) => name);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return [];
    throw error;
  }
}
