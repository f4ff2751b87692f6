/** Bytes in a MiB, the unit of the file cache setting. */
export const mib = 1_048_576;

/** What the guest's kernel and the programs beside Postgres take of the memory that the agent counts. */
const systemBuffer = 100 * mib;
/** A downscale must leave this much between the use and the new threshold. */
const downscaleBuffer = 100 * mib;
/** Memory that always stays beside the file cache. */
const besideFileCache = 256 * mib;
/** Milliseconds: older samples say nothing about now. */
export const staleMs = 5000;
/** Below this number of samples an average is not a statistic. */
const enoughSamples = 2;
/** Shortest time between two requests for memory. */
const requestPauseMs = 1000;

/** Bytes that are there for Postgres when the VM has `memBytes` as seen from outside. */
export const usableBytes = (memBytes: number): number => Math.max(0, memBytes - systemBuffer);

/** Bytes of use from which on memory is asked for: 85 % of `totalBytes`. */
export const thresholdBytes = (totalBytes: number): number => Math.trunc(totalBytes * 0.85);

/** Bytes, whole MiB, that the file cache is to have of `totalBytes`: three quarters, but in a small VM less, so that
 *  256 MiB and a tenth of its size stay beside it. */
export function fileCacheBytes(totalBytes: number): number {
  if (totalBytes <= besideFileCache) return 0;
  const bySpread = Math.trunc((totalBytes - besideFileCache) / 1.1);
  const byShare = Math.trunc(totalBytes * 0.75);
  return floorToMib(Math.min(bySpread, byShare));
}

export const floorToMib = (bytes: number): number => Math.floor(bytes / mib) * mib;

/** What is known of the memory use when a question arrives. */
export interface Usage {
  /** Samples in the average. */
  readonly count: number;
  /** Bytes. */
  readonly averageBytes: number;
  /** Milliseconds since the last sample, or since the connection was set up when there was none. */
  readonly ageMs: number;
}

export type DownscaleVerdict =
  | { readonly verdict: 'approved'; readonly usableBytes: number; readonly thresholdBytes: number }
  | { readonly verdict: 'refused'; readonly reason: 'few_samples' | 'in_use'; readonly text: string }
  | { readonly verdict: 'impossible'; readonly reason: 'stale_samples'; readonly text: string };

/** May the VM shrink to `memBytes` as seen from outside? Never below the use plus a buffer, and never without fresh
 *  samples. */
export function judgeDownscale(memBytes: number, usage: Usage): DownscaleVerdict {
  const usable = usableBytes(memBytes);
  const threshold = thresholdBytes(usable);
  if (!(usage.ageMs <= staleMs)) {
    const text = `the last sample of the memory use is ${Math.round(usage.ageMs)} ms old, ${staleMs} ms at most are good`;
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

/** Is it time to ask for more memory?
 *  @param sinceRequestMs milliseconds since the last request of this connection; Infinity when there was none */
export const mustAskForMemory = (averageBytes: number, threshold: number, sinceRequestMs: number): boolean =>
  averageBytes >= threshold && sinceRequestMs >= requestPauseMs;

/** `1560 MiB`, for people: rounded to a tenth. */
export const inMib = (bytes: number): string => `${Math.round((bytes / mib) * 10) / 10} MiB`;
