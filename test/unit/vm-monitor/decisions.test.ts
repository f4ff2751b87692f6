import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  fileCacheBytes,
  judgeDownscale,
  mib,
  mustAskForMemory,
  thresholdBytes,
  usableBytes,
} from '../../../src/vm-monitor/decisions.ts';

const used = (averageBytes: number, more: { count?: number; ageMs?: number } = {}) => ({
  averageBytes,
  count: 5,
  ageMs: 50,
  ...more,
});

test.each([
  [0, 0],
  [256, 0],
  [257, 0],
  [258, 1],
  [300, 40],
  [512, 232],
  [924, 607],
  [1024, 698],
  [1462, 1096],
  [1463, 1097],
  [1464, 1098],
  [1948, 1461],
  [2048, 1536],
  [4096, 3072],
  [8192, 6144],
])('of %i MiB the file cache gets %i MiB', (total, cache) => {
  expect(fileCacheBytes(total * mib)).toBe(cache * mib);
});

test.each([
  [256, 228_170_137],
  [924, 823_551_590],
  [1024, 912_680_550],
  [1948, 1_736_232_140],
  [2972, 2_648_912_691],
  [3996, 3_561_593_241],
  [4096, 3_650_722_201],
])('of %i MiB the threshold is %i bytes', (total, bytes) => {
  expect(thresholdBytes(total * mib)).toBe(bytes);
});

test('a guest of 4026764 kB wants 2949 MiB of file cache, one of 1009168 kB 663', () => {
  expect(fileCacheBytes(4_123_406_336)).toBe(2949 * mib);
  expect(thresholdBytes(4_123_406_336)).toBe(3_504_895_385);
  expect(fileCacheBytes(1_033_388_032)).toBe(663 * mib);
  expect(thresholdBytes(1_033_388_032)).toBe(878_379_827);
});

test('a notification of 4 GiB means 3996 MiB usable and 2997 MiB of file cache', () => {
  expect(usableBytes(4_294_967_296)).toBe(4_190_109_696);
  expect(fileCacheBytes(4_190_109_696)).toBe(2997 * mib);
});

describe('a downscale', () => {
  test('to 3 GiB is approved when 2 GiB are in use', () => {
    expect(judgeDownscale(3_221_225_472, used(2_147_483_648))).toEqual({
      verdict: 'approved',
      usableBytes: 3_116_367_872,
      thresholdBytes: 2_648_912_691,
    });
    expect(fileCacheBytes(3_116_367_872)).toBe(2229 * mib);
  });

  test('to 2 GiB is refused when 1600 MiB are in use, with the numbers in the text', () => {
    const refused = judgeDownscale(2_147_483_648, used(1_677_721_600));
    expect(refused).toMatchObject({ verdict: 'refused', reason: 'in_use' });
    expect(refused).toHaveProperty('text', expect.stringMatching(/1655\.8 MiB.*1600 MiB.*100 MiB/));
  });

  test('is approved when use plus buffer equals the threshold, refused one byte above', () => {
    expect(judgeDownscale(2_147_483_648, used(1_631_374_540)).verdict).toBe('approved');
    expect(judgeDownscale(2_147_483_648, used(1_631_374_541)).verdict).toBe('refused');
    expect(fileCacheBytes(usableBytes(2_147_483_648))).toBe(1461 * mib);
  });

  test.each([67_108_864, 104_857_600, 0])('to %i bytes is refused even when nothing is in use', (mem) => {
    expect(judgeDownscale(mem, used(0)).verdict).toBe('refused');
  });

  test('after the first sample is refused, from the second on it is judged', () => {
    const verdict = (count: number) => judgeDownscale(8 * 1024 * mib, used(1, { count })).verdict;
    expect([0, 1, 2].map(verdict)).toEqual(['refused', 'refused', 'approved']);
  });

  test('is impossible once the last sample is more than 5 s old, whatever else is true', () => {
    const verdict = (ageMs: number, count: number) =>
      judgeDownscale(8 * 1024 * mib, used(1, { ageMs, count })).verdict;
    expect(verdict(5000, 5)).toBe('approved');
    expect(verdict(5001, 5)).toBe('impossible');
    expect(verdict(5001, 0)).toBe('impossible');
    expect(verdict(Number.NaN, 5)).toBe('impossible');
  });
});

const bytes = fc.integer({ min: 0, max: 2 ** 50 });

test('the file cache and the threshold never shrink when memory grows, and leave their share free', () =>
  fc.assert(
    fc.property(bytes, bytes, (a, b) => {
      const [less, more] = a < b ? [a, b] : [b, a];
      expect(fileCacheBytes(less)).toBeLessThanOrEqual(fileCacheBytes(more));
      expect(thresholdBytes(less)).toBeLessThanOrEqual(thresholdBytes(more));
      expect(fileCacheBytes(more) % mib).toBe(0);
      expect(fileCacheBytes(more)).toBeLessThanOrEqual(more * 0.75);
      expect(fileCacheBytes(more)).toBeLessThanOrEqual(Math.max(0, more - 256 * mib));
      expect(usableBytes(more)).toBeGreaterThanOrEqual(0);
    }),
  ));

const approved = (mem: number, average: number) => judgeDownscale(mem, used(average)).verdict === 'approved';

test('no downscale below use plus buffer is ever approved', () =>
  fc.assert(
    fc.property(bytes, bytes, (average, mem) => {
      const { verdict } = judgeDownscale(mem, used(average));
      expect(verdict === 'approved').toBe(thresholdBytes(usableBytes(mem)) >= average + 100 * mib);
      expect(approved(average + 200 * mib, average)).toBe(false);
    }),
  ));

test('more memory never turns a yes into a no, more use never a no into a yes', () =>
  fc.assert(
    fc.property(bytes, bytes, bytes, (mem, average, more) => {
      const now = Number(approved(mem, average));
      expect(Number(approved(mem + more, average))).toBeGreaterThanOrEqual(now);
      expect(Number(approved(mem, average + more))).toBeLessThanOrEqual(now);
    }),
  ));

test('memory is asked for from the threshold on, once a second', () => {
  expect(mustAskForMemory(100, 100, Infinity)).toBe(true);
  expect(mustAskForMemory(99, 100, Infinity)).toBe(false);
  expect(mustAskForMemory(100, 100, 999)).toBe(false);
  expect(mustAskForMemory(100, 100, 1000)).toBe(true);
});

test('at ten samples a second above the threshold, exactly one request falls into each second', () => {
  let last = -Infinity;
  const asked: number[] = [];
  for (let ms = 0; ms <= 2500; ms += 100) {
    if (!mustAskForMemory(100, 100, ms - last)) continue;
    last = ms;
    asked.push(ms);
  }
  expect(asked).toEqual([0, 1000, 2000]);
});
