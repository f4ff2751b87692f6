/** Bytes in a MiB, the unit of the file cache setting. */
export const mib = 1_048_576;

/** The part of the agent's memory figure that the guest's kernel and the programs beside Postgres use. */
const systemBuffer = 100 * mib;
/** After a downscale, the new threshold must be at least this much above the use. */
const downscaleBuffer = 100 * mib;
/** Memory that the file cache never uses. */
const besideFileCache = 256 * mib;
/** Older samples do not count. */
const staleMs = 5000;
/** Below this number of samples an average is not a statistic. */
const enoughSamples = 2;
/** Shortest time between two requests for memory. */
const requestPauseMs = 1000;

/** Bytes that Postgres can use when the VM has `memBytes` as seen from outside. */
export const usableBytes = (memBytes: number): number => Math.max(0, memBytes - systemBuffer);

/** The use, in bytes, at which more memory is requested: 85 % of `totalBytes`. */
export const thresholdBytes = (totalBytes: number): number => Math.trunc(totalBytes * 0.85);

/** The file cache's size for `totalBytes`, in bytes (whole MiB): three quarters, but less in a small VM, so that 256 MiB
 *  and a tenth of the cache's size stay free. */
export function fileCacheBytes(totalBytes: number): number {
  if (totalBytes <= besideFileCache) return 0;
  const bySpread = Math.trunc((totalBytes - besideFileCache) / 1.1);
  const byShare = Math.trunc(totalBytes * 0.75);
  return floorToMib(Math.min(bySpread, byShare));
}

export const floorToMib = (bytes: number): number => Math.floor(bytes / mib) * mib;

/** The memory use when the agent's request arrives. */
export interface Usage {
  /** Samples in the average. */
  readonly count: number;
  /** Bytes. */
  readonly averageBytes: number;
  /** Milliseconds since the last sample, or since the connection was set up if there was none. */
  readonly ageMs: number;
}

export type DownscaleVerdict =
  | { readonly verdict: 'approved'; readonly usableBytes: number; readonly thresholdBytes: number }
  | { readonly verdict: 'refused'; readonly reason: 'few_samples' | 'in_use'; readonly text: string }
  | { readonly verdict: 'impossible'; readonly reason: 'stale_samples'; readonly text: string };

/** Decides whether the VM may shrink to `memBytes` as seen from outside: never below the use plus a buffer, and never
 *  without recent samples. */
export function judgeDownscale(memBytes: number, usage: Usage): DownscaleVerdict {
  const usable = usableBytes(memBytes);
  const threshold = thresholdBytes(usable);
  if (!(usage.ageMs <= staleMs)) {
    const text = `the last sample of the memory use is ${Math.round(usage.ageMs)} ms old; the limit is ${staleMs} ms`;
    return { verdict: 'impossible', reason: 'stale_samples', text };
  }
  if (usage.count < enoughSamples) {
    const text = `not enough statistics yet: ${usage.count} of ${enoughSamples} samples of the memory use`;
    return { verdict: 'refused', reason: 'few_samples', text };
  }
  if (!(threshold >= usage.averageBytes + downscaleBuffer)) {
    const text =
      `the threshold would be ${inMib(threshold)} and must not be below ` +
      `the use of ${inMib(usage.averageBytes)} plus a buffer of ${inMib(downscaleBuffer)}`;
    return { verdict: 'refused', reason: 'in_use', text };
  }
  return { verdict: 'approved', usableBytes: usable, thresholdBytes: threshold };
}

/** Whether to request more memory now.
 *  @param sinceRequestMs milliseconds since the last request of this connection; Infinity when there was none */
export const mustAskForMemory = (averageBytes: number, threshold: number, sinceRequestMs: number): boolean =>
  averageBytes >= threshold && sinceRequestMs >= requestPauseMs;

/** `1560 MiB`, for people: rounded to a tenth. */
export const inMib = (bytes: number): string => `${Math.round((bytes / mib) * 10) / 10} MiB`;
