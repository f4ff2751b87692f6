/** Random parts of a list; the same ones for the same seed. */
export function subsets<T>(of: readonly T[], seed: number, count: number): T[][] {
  const next = generator(seed);
  return Array.from({ length: count }, () => of.filter(() => next() < 0.5));
}

/** Mulberry32. @returns numbers from 0 up to 1 */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
