import { constants, copyFileSync, existsSync, linkSync, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ComputeError } from '../../core/errors.ts';
import { type Lsn, formatLsn } from '../../core/lsn.ts';
import { fsyncPath, linkDurable, ownDir, writeAtomically } from '../../process/files.ts';
import { type Base, type TimelineDir, baseFile, factsFile, takenMs, walDir } from './layout.ts';
import { withoutPageHeader } from './range.ts';
import { basesOf, endOf, gapAfter, shownRanges } from './ranges.ts';
import { readWhole } from './segment-files.ts';
import { isComplete, segmentName } from './segments.ts';
import { endBefore, lastRecordEnd } from './wal-point.ts';

/** Where in the history: an LSN, a moment in milliseconds since 1970, or the end of what is stored. */
export type At = { readonly lsn: Lsn } | { readonly timeMs: number } | 'end';

/** The beginning of another timeline: a base backup, and the end of a record in the WAL after it. */
export interface ForkPoint {
  readonly base: Base;
  readonly lsn: Lsn;
}

/** @throws ComputeError `not_found` with what can be restored, when the storage does not have that; `local_storage` */
export function forkPoint(dir: TimelineDir, at: At, nowMs = Date.now()): ForkPoint {
  const bases = basesOf(dir);
  const current = bases.at(-1) as Base;
  if (at === 'end') return { base: current, lsn: theEnd(dir, current, endOf(dir, current)) };
  const base = bases.findLast((one) => ('lsn' in at ? one.stopLsn <= at.lsn : takenMs(one) <= at.timeMs));
  const what = 'lsn' in at ? `LSN ${formatLsn(at.lsn)}` : new Date(at.timeMs).toISOString();
  if (base === undefined) throw outside(dir, `${what} is before the oldest base backup that is kept`);
  const next = bases[bases.indexOf(base) + 1] ?? null;
  if ('timeMs' in at) {
    if (at.timeMs > nowMs) throw outside(dir, `${what} is in the future`);
    const { lsn: found, isLast } = endBefore(walOf(dir, base), base.stopLsn, at.timeMs);
    const lsn = found > base.stopLsn ? found : base.stopLsn;
    // Otherwise commits until then could be missing without a word.
    if (isLast) refuseUnknown(dir, { base, next, lsn, what, timeMs: at.timeMs });
    return { base, lsn };
  }
  const wanted = withoutPageHeader(at.lsn, base.walSegmentBytes);
  if (wanted > endOf(dir, base)) throw outside(dir, `${what} is not stored${whyNot(dir, base, next)}`);
  const found = lastRecordEnd(walOf(dir, base), wanted);
  if (found === null) throw damaged(dir, `no WAL record ends before ${formatLsn(wanted)}`);
  return { base, lsn: found };
}

const walOf = (dir: TimelineDir, { timeline, walSegmentBytes, startLsn }: Base) => ({
  dir: walDir(dir, timeline),
  timeline,
  segmentBytes: walSegmentBytes,
  start: startLsn,
});

/** @throws ComputeError `local_storage` where WAL is missing before it */
function theEnd(dir: TimelineDir, base: Base, end: Lsn): Lsn {
  const gap = gapAfter(dir, base);
  if (gap === null) return end;
  throw damaged(dir, `it ends at ${formatLsn(end)}: ${gap} is missing, and later WAL is there`);
}

interface LastBefore {
  readonly base: Base;
  readonly next: Base | null;
  /** The end of the WAL after `base`, without a later commit than `timeMs`. */
  readonly lsn: Lsn;
  readonly what: string;
  readonly timeMs: number;
}

/** @throws ComputeError when there may have been other commits until then: `local_storage` after a gap, `not_found` after a promotion */
function refuseUnknown(dir: TimelineDir, { base, next, lsn, what, timeMs }: LastBefore): void {
  if (next === null) return void theEnd(dir, base, lsn);
  if (next.timeline === base.timeline) {
    if (lsn >= next.startLsn) return;
    const gap = gapAfter(dir, base);
    const why = gap === null ? 'ends or is damaged' : `has a gap (${gap})`;
    throw damaged(dir, `it ${why} at ${formatLsn(lsn)}, before the next base backup`);
  }
  const { promotion } = next;
  const isKnown = promotion?.from === base.timeline && promotion.lsn <= lsn;
  if (isKnown && (promotion.firstCommitMs === null || timeMs < promotion.firstCommitMs)) return;
  const since = isKnown
    ? ` (the first commit was at ${new Date(promotion.firstCommitMs ?? 0).toISOString()})`
    : '';
  throw outside(
    dir,
    `${what} is between a promotion at ${formatLsn(lsn)} and the base backup after it${since}`,
    `choose the LSN ${formatLsn(lsn)}, where the promotion was, or a point from ${formatLsn(next.stopLsn)} on`,
  );
}

/** Why an LSN after a base backup is not stored; empty: it does not exist yet. */
function whyNot(dir: TimelineDir, base: Base, next: Base | null): string {
  if (next !== null && next.timeline !== base.timeline)
    return ': it is between a promotion and the base backup after it';
  const gap = gapAfter(dir, base);
  if (gap !== null) return `: the WAL has a gap at ${gap}`;
  return next === null ? '' : `: the WAL ends or is damaged at ${formatLsn(endOf(dir, base))}`;
}

const outside = (
  dir: TimelineDir,
  why: string,
  hint = 'choose a point in this range; a larger one is kept with --keep',
): ComputeError => new ComputeError('not_found', `${why}: ${shownRanges(dir)}`, { hint });

const damaged = (dir: TimelineDir, why: string): ComputeError =>
  new ComputeError('local_storage', `the WAL in ${dir.root} cannot be used: ${why}: ${shownRanges(dir)}`, {
    hint: 'choose a point in this range, such as an LSN',
  });

/** Creates another timeline in an empty directory: base backup and finished WAL are the same files, as hard links, so that they stay
 *  when the first timeline removes its own; the segment of the fork is a copy that ends there. All is on disk then.
 *  @throws ComputeError `local_storage`; the system's error, ENOENT for what was removed meanwhile */
export function fork(from: TimelineDir, { base, lsn }: ForkPoint, fresh: TimelineDir): void {
  const target = join(fresh.bases, String(base.number));
  ownDir(target, 0o700);
  for (const fileIn of [baseFile, factsFile]) share(fileIn(base.dir), fileIn(target));
  const [source, wal] = [walDir(from, base.timeline), walDir(fresh, base.timeline)];
  ownDir(wal, 0o700);
  const { walSegmentBytes: bytes, timeline } = base;
  const last = Math.floor((Number(lsn) - 1) / bytes);
  for (let number = Math.floor(Number(base.startLsn) / bytes); number < last; number++)
    shareSegment(from, source, wal, { number, bytes, timeline });
  copyUpTo(source, wal, { number: last, bytes, timeline }, Number(lsn) - last * bytes);
  for (const name of readdirSync(source).filter((one) => one.endsWith('.history')))
    share(join(source, name), join(wal, name));
  for (const path of [target, fresh.bases, wal]) fsyncPath(path);
  linkDurable(fresh.current, join('bases', String(base.number)));
}

interface Wanted {
  readonly number: number;
  readonly bytes: number;
  readonly timeline: number;
}

/** A segment that was completed is never written again. */
function shareSegment(
  dir: TimelineDir,
  source: string,
  target: string,
  { number, bytes, timeline }: Wanted,
): void {
  const name = segmentName(number, bytes, timeline);
  const path = join(source, name);
  if (!isComplete({ number, name, path, partial: false }, bytes)) {
    if (!existsSync(path)) throw gone(path);
    throw damaged(dir, `${name} is incomplete`);
  }
  share(path, join(target, name));
}

/** The segment that the fork lies in, with zeros after it, as pg_receivewal fills one that it receives. */
function copyUpTo(source: string, target: string, { number, bytes, timeline }: Wanted, used: number): void {
  const name = segmentName(number, bytes, timeline);
  const path = join(source, name);
  const partial = !existsSync(path);
  if (used === bytes && !partial) return share(path, join(target, name));
  const content = readWhole({ number, name, partial, path: partial ? `${path}.partial` : path }, bytes);
  content.fill(0, used);
  writeAtomically(join(target, `${name}.partial`), content, { mode: 0o600, durable: true });
}

const gone = (path: string): Error =>
  Object.assign(new Error(`${path} was removed`), { code: 'ENOENT', path });

/** Where a second name is not possible: on another file system, or when there are too many. */
const notLinkable = ['EXDEV', 'EPERM', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP'];

function share(from: string, to: string): void {
  if (!lstatSync(from).isFile()) return;
  try {
    linkSync(from, to);
  } catch (error) {
    if (!notLinkable.includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    copyFileSync(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
    fsyncPath(to);
  }
}
