import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** The timeline of PostgreSQL on which a cluster begins. A promotion begins the next one. */
export const firstTimeline = 1;

export interface Segment {
  /** Number of the segment since position 0. */
  readonly number: number;
  /** The name under which Postgres knows it. */
  readonly name: string;
  readonly path: string;
  /** Still being received: the file is called `<name>.partial`. */
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

/** The number in a segment's file name; null for every other file and for other timelines. */
export function segmentNumber(name: string, segmentBytes: number, timeline = firstTimeline): number | null {
  const match = /^([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})$/.exec(name);
  if (match === null || Number.parseInt(match[1] as string, 16) !== timeline) return null;
  const low = Number.parseInt(match[3] as string, 16);
  return low >= perLogFile(segmentBytes)
    ? null
    : Number.parseInt(match[2] as string, 16) * perLogFile(segmentBytes) + low;
}

/** The received segments in order. Of a segment that is there whole and as a partial file the whole one counts. */
export function listSegments(walDir: string, segmentBytes: number, timeline = firstTimeline): Segment[] {
  const found = new Map<number, Segment>();
  for (const file of readdirSync(walDir)) {
    const partial = file.endsWith('.partial');
    const name = partial ? file.slice(0, -'.partial'.length) : file;
    const number = segmentNumber(name, segmentBytes, timeline);
    if (number === null || (partial && found.has(number))) continue;
    found.set(number, { number, name, path: join(walDir, file), partial });
  }
  return [...found.values()].toSorted((a, b) => a.number - b.number);
}

/** True when the file has its full size: pg_receivewal makes a segment full of zeros before it writes into it. */
export const isComplete = (segment: Segment, segmentBytes: number): boolean =>
  statSync(segment.path, { throwIfNoEntry: false })?.size === segmentBytes;

const tries = 5;

/** The segments from `first` to the last one, which may still be partial; null when one is missing or too short.
 *  A last one into which nothing can have been written yet is left out. The receiver may rename a file while we look,
 *  which looks like a gap: so we look again. */
export function segmentsFrom(
  walDir: string,
  segmentBytes: number,
  first: number,
  timeline = firstTimeline,
): Segment[] | null {
  for (let tried = 0; tried < tries; tried++) {
    const all = listSegments(walDir, segmentBytes, timeline).filter((segment) => segment.number >= first);
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
