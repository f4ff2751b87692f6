import { lstat, opendir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { never } from '../../core/abort.ts';
import { monotonicMs, within } from '../../core/clock.ts';
import { probeMs } from './probe.ts';

/** Bytes on disk, of sparse and of compressed files what they really take. */
export interface Size {
  readonly bytes: number;
  /** False when the limit came first, or something may not be read: there is more. */
  readonly complete: boolean;
}

/** Counts a directory. */
export type Sizer = (path: string) => Promise<Size>;

interface Counted {
  bytes: number;
  complete: boolean;
}

/** The size of a directory with everything in it; links are not followed. Missing: 0. Never rejects, and also ends in time where
 *  the file system does not answer. */
export async function sizeOf(path: string, limitMs = probeMs): Promise<Size> {
  const counted: Counted = { bytes: 0, complete: true };
  const all = count(path, monotonicMs() + limitMs, counted).then(() => true);
  const inTime = (await within(all, limitMs, never)) !== null;
  return { bytes: counted.bytes, complete: counted.complete && inTime };
}

async function count(path: string, endMs: number, counted: Counted): Promise<void> {
  if (monotonicMs() > endMs) {
    counted.complete = false;
    return;
  }
  try {
    const stat = await lstat(path);
    counted.bytes += stat.blocks * 512;
    if (!stat.isDirectory()) return;
    for await (const { name } of await opendir(path)) {
      await count(join(path, name), endMs, counted);
      if (monotonicMs() > endMs) return;
    }
  } catch (error) {
    // What was removed meanwhile takes nothing.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') counted.complete = false;
  }
}

export const sum = (sizes: readonly Size[]): Size => ({
  bytes: sizes.reduce((all, { bytes }) => all + bytes, 0),
  complete: sizes.every(({ complete }) => complete),
});

/** Bytes that an ordinary user can still write; null where the system does not say. */
export async function freeBytes(path: string): Promise<number | null> {
  const asked = statfs(path).then(
    ({ bavail, bsize }) => bavail * bsize,
    () => null,
  );
  return within(asked, probeMs, never);
}
