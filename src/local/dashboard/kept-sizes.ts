import { monotonicMs } from '../../core/clock.ts';
import { type Size, type Sizer, sizeOf } from '../status/disk.ts';

interface Kept {
  readonly untilMs: number;
  readonly size: Promise<Size>;
}

/** Counts a directory anew only when some time has passed: it takes longer than all other questions together. */
export function keptSizes(forMs: number, count: Sizer = sizeOf, nowMs: () => number = monotonicMs): Sizer {
  const kept = new Map<string, Kept>();
  return (path) => {
    for (const [each, { untilMs }] of kept) if (untilMs <= nowMs()) kept.delete(each);
    const known = kept.get(path) ?? { untilMs: nowMs() + forMs, size: count(path) };
    kept.set(path, known);
    return known.size;
  };
}
