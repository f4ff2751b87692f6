import { statfsSync } from 'node:fs';
import { lstat, opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { monotonicMs } from '../../core/clock.ts';
import { probeMs } from './probe.ts';

/** Bytes on disk, of sparse and of compressed files what they really take. */
export interface Size {
  readonly bytes: number;
  /** False when the limit came first: there is more. */
  readonly complete: boolean;
}

/** The size of a directory with everything in it; links are not followed. Missing: 0. Never rejects. */
export async function sizeOf(path: string, endMs = monotonicMs() + probeMs): Promise<Size> {
  if (monotonicMs() > endMs) return { bytes: 0, complete: false };
  try {
    const stat = await lstat(path);
    let [bytes, complete] = [stat.blocks * 512, true];
    if (!stat.isDirectory()) return { bytes, complete };
    for await (const { name } of await opendir(path)) {
      const one = await sizeOf(join(path, name), endMs);
      bytes += one.bytes;
      complete &&= one.complete;
      if (!complete) break;
    }
    return { bytes, complete };
  } catch (error) {
    // Removed meanwhile; anything else, such as a missing permission, makes the size a lower limit.
    return { bytes: 0, complete: (error as NodeJS.ErrnoException).code === 'ENOENT' };
  }
}

export const sum = (sizes: readonly Size[]): Size => ({
  bytes: sizes.reduce((all, { bytes }) => all + bytes, 0),
  complete: sizes.every(({ complete }) => complete),
});

/** Bytes that an ordinary user can still write; null where the system does not say. */
export function freeBytes(path: string): number | null {
  try {
    const { bavail, bsize } = statfsSync(path);
    return bavail * bsize;
  } catch {
    return null;
  }
}
