import { statfs } from 'node:fs/promises';

/** What a file system has, in bytes, for users that are not root. */
export interface Space {
  readonly totalBytes: number;
  readonly freeBytes: number;
  /** False when no file can be created any more, although there may be bytes. */
  readonly inodesLeft: boolean;
}

/** @throws the system's error */
export async function spaceAt(path: string): Promise<Space> {
  const { blocks, bsize, bavail, files, ffree } = await statfs(path);
  // File systems without a table of inodes report 0 of 0.
  return { totalBytes: blocks * bsize, freeBytes: bavail * bsize, inodesLeft: files === 0 || ffree > 0 };
}

/** Bytes that must be free. */
export interface DiskLimits {
  /** Below this, a warning. */
  readonly warnBytes: number;
  /** Below this, writes are stopped. */
  readonly stopBytes: number;
}

/** Those of the command line; null: the default for the size of the disk. */
export interface GivenLimits {
  readonly warnBytes: number | null;
  readonly stopBytes: number | null;
}

const megabyte = 1024 * 1024;

/** The limits for a file system of that size: for the warning 10 % of it, at most 1 GB; for the stop 5 %, at most 256 MB, and
 *  never more than the limit for the warning. */
export function limitsFor(totalBytes: number, given: GivenLimits): DiskLimits {
  const warn = given.warnBytes ?? Math.min(totalBytes / 10, 1024 * megabyte);
  const stop = given.stopBytes ?? Math.min(totalBytes / 20, 256 * megabyte, warn);
  return { warnBytes: Math.floor(Math.max(warn, stop)), stopBytes: Math.floor(stop) };
}

export type DiskLevel = 'ok' | 'low' | 'stop';

/** A quarter more than the limit must be free before writes are allowed again, so that they are not stopped and allowed in
 *  turn. */
const margin = 1.25;

/** @param before the level until now */
export function levelOf(
  { freeBytes, inodesLeft }: Space,
  { warnBytes, stopBytes }: DiskLimits,
  before: DiskLevel,
): DiskLevel {
  const below = (limit: number, was: boolean): boolean => freeBytes < (was ? limit * margin : limit);
  if (!inodesLeft || below(stopBytes, before === 'stop')) return 'stop';
  return below(warnBytes, before !== 'ok') ? 'low' : 'ok';
}

interface Sample {
  readonly atMs: number;
  readonly freeBytes: number;
}

const windowMs = 600_000;
const leastMs = 10_000;
const everyMs = 5000;
const furthest = 100;

/** How fast the free space shrinks, from samples of the last ten minutes. */
export class FillRate {
  #samples: readonly Sample[] = [];

  /** @param atMs of a clock that never goes back */
  add(atMs: number, freeBytes: number): void {
    const last = this.#samples.at(-1);
    if (last !== undefined && atMs - last.atMs < everyMs) return;
    this.#samples = [...this.#samples.filter((one) => atMs - one.atMs <= windowMs), { atMs, freeBytes }];
  }

  /** By the line that fits the samples best; negative while space is freed; null before ten seconds were seen. */
  get bytesPerSecond(): number | null {
    if (this.#seenMs < leastMs) return null;
    const mean = (of: (one: Sample) => number): number =>
      this.#samples.reduce((sum, one) => sum + of(one), 0) / this.#samples.length;
    const [meanMs, meanFree] = [mean(({ atMs }) => atMs), mean(({ freeBytes }) => freeBytes)];
    let [both, square] = [0, 0];
    for (const { atMs, freeBytes } of this.#samples) {
      both += (atMs - meanMs) * (freeBytes - meanFree);
      square += (atMs - meanMs) ** 2;
    }
    return Math.round((-both / square) * 1000) + 0;
  }

  /** Until nothing is free at this rate; null while the disk does not fill up, or not soon enough to be said: no more than a hundred
   *  times the time that was looked at. What a start or a load writes in a minute says nothing of tomorrow. */
  secondsUntilFull(freeBytes: number): number | null {
    const { bytesPerSecond } = this;
    if (bytesPerSecond === null || bytesPerSecond <= 0) return null;
    const seconds = Math.round(freeBytes / bytesPerSecond);
    return seconds * 1000 > this.#seenMs * furthest ? null : seconds;
  }

  get #seenMs(): number {
    return (this.#samples.at(-1)?.atMs ?? 0) - (this.#samples[0]?.atMs ?? 0);
  }
}
