import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** The PG timeline of a new cluster. A promotion begins the next one. */
export const firstTimeline = 1;

export interface Segment {
  /** Number of the segment, counted from LSN 0. */
  readonly number: number;
  /** The segment's file name in Postgres. */
  readonly name: string;
  readonly path: string;
  /** True while it is being received: the file is `<name>.partial`. */
  readonly partial: boolean;
}

const perLogFile = (segmentBytes: number): number => 0x1_0000_0000 / segmentBytes;
const hex = (value: number): string => value.toString(16).toUpperCase().padStart(8, '0');

/** `000000010000000000000002`: timeline, high and low part of the number.
 *  @see https://www.postgresql.org/docs/current/wal-internals.html */
export function segmentName(number: number, segmentBytes: number, timeline = firstTimeline): string {
  const per = perLogFile(segmentBytes);
  return hex(timeline) + hex(Math.floor(number / per)) + hex(number % per);
}

/** The number in a segment's file name; null for other files and other PG timelines. */
export function segmentNumber(name: string, segmentBytes: number, timeline = firstTimeline): number | null {
  const match = /^([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})$/.exec(name);
  if (match === null || Number.parseInt(match[1] as string, 16) !== timeline) return null;
  const low = Number.parseInt(match[3] as string, 16);
  return low >= perLogFile(segmentBytes)
    ? null
    : Number.parseInt(match[2] as string, 16) * perLogFile(segmentBytes) + low;
}

/** The number of the segment that a base backup begins in. */
export const firstSegmentOf = (base: {
  readonly startLsn: bigint;
  readonly walSegmentBytes: number;
}): number => Math.floor(Number(base.startLsn) / base.walSegmentBytes);

/** The received segments in order. If a segment exists both complete and as a partial file, the complete one counts. One that the
 *  receiver finishes meanwhile is there, too. */
export function listSegments(walDir: string, segmentBytes: number, timeline = firstTimeline): Segment[] {
  const found = new Map<number, Segment>();
  for (const file of readdirSync(walDir)) {
    const partial = file.endsWith('.partial');
    const name = partial ? file.slice(0, -'.partial'.length) : file;
    const number = segmentNumber(name, segmentBytes, timeline);
    if (number === null || (partial && found.has(number))) continue;
    found.set(number, { number, name, path: join(walDir, file), partial });
  }
  // While a directory is read, a file that gets another name can be seen under neither, and one that is newer all the same.
  const last = Math.max(...found.keys());
  for (let number = last - 1; number > last - renamedAtMost; number--) {
    const name = segmentName(Math.max(0, number), segmentBytes, timeline);
    const path = join(walDir, name);
    if (number >= 0 && !found.has(number) && existsSync(path))
      found.set(number, { number, name, path, partial: false });
  }
  return [...found.values()].toSorted((a, b) => a.number - b.number);
}

/** Segments that can be finished while their directory is read, and more. */
const renamedAtMost = 64;

/** As it is now: one that was finished since it was listed has its final name. */
export function settled(segment: Segment): Segment {
  const { path, partial } = segment;
  return partial && !existsSync(path)
    ? { ...segment, path: path.slice(0, -'.partial'.length), partial: false }
    : segment;
}

/** True when the file has its full size: pg_receivewal fills a segment with zeros before it writes into it. */
export const isComplete = (segment: Segment, segmentBytes: number): boolean =>
  statSync(segment.path, { throwIfNoEntry: false })?.size === segmentBytes;

const tries = 5;

/** The segments from `first` to the last one, which may be partial; null when one is missing or too short. A last one
 *  that cannot contain WAL yet is left out. If the receiver renames a file during the check, it looks like a gap, so the
 *  check is repeated.
 *  @param last what comes after it does not matter */
export function segmentsFrom(
  walDir: string,
  segmentBytes: number,
  first: number,
  timeline = firstTimeline,
  last = Infinity,
): Segment[] | null {
  for (let tried = 0; tried < tries; tried++) {
    const all = listSegments(walDir, segmentBytes, timeline)
      .filter(({ number }) => number >= first && number <= last)
      .map(settled);
    if (!all.every((segment) => existsSync(segment.path))) continue;
    if (all.at(-1)?.partial === true && !isComplete(all.at(-1) as Segment, segmentBytes)) all.pop();
    const sound = all.every(
      (segment, at) =>
        segment.number === first + at &&
        isComplete(segment, segmentBytes) &&
        (!segment.partial || at === all.length - 1),
    );
    if (sound) return all;
  }
  return null;
}

/** The name of the first one that is missing from `first` on, while later ones are there; null: there is no gap. If the receiver
 *  renames a file during the check, it looks like a gap, so the check is repeated. */
export function segmentAfterGap(
  walDir: string,
  segmentBytes: number,
  first: number,
  timeline = firstTimeline,
): string | null {
  let missing = first;
  for (let tried = 0; tried < tries; tried++) {
    const all = listSegments(walDir, segmentBytes, timeline);
    missing = firstMissing(all, first);
    if (!all.some(({ number }) => number > missing)) return null;
  }
  return segmentName(missing, segmentBytes, timeline);
}

/** The number of the first one that is not there, from `first` on. */
export function firstMissing(segments: readonly Segment[], first: number): number {
  const numbers = new Set(segments.map(({ number }) => number));
  let missing = first;
  while (numbers.has(missing)) missing++;
  return missing;
}
