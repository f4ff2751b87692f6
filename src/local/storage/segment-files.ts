import { existsSync, rmSync, statSync } from 'node:fs';
import { ComputeError } from '../../core/errors.ts';
import { readRegular } from '../../process/regular-file.ts';
import { fsyncPath } from '../../process/files.ts';
import { type Segment, listSegments, settled } from './segments.ts';

/** @throws ComputeError `local_storage` when it has another size */
export function readWhole(segment: Segment, bytes: number): Buffer {
  const content = readRegular(settled(segment).path, bytes);
  if (content.length === bytes) return content;
  throw new ComputeError('local_storage', `${segment.path} has ${content.length} bytes instead of ${bytes}`);
}

/** Bytes; 0 for a file that is gone. */
export const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;

/** Removes the segments before a number. */
export function removeBefore(walDir: string, first: number, segmentBytes: number, timeline: number): void {
  if (!existsSync(walDir)) return;
  const old = listSegments(walDir, segmentBytes, timeline).filter(({ number }) => number < first);
  for (const segment of old) rmSync(segment.path, { force: true });
  if (old.length > 0) fsyncPath(walDir);
}
