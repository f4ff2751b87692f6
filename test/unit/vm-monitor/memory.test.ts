import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { mib } from '../../../src/vm-monitor/decisions.ts';
import { anonymousBytes, containerLimitBytes, memTotalBytes } from '../../../src/vm-monitor/memory.ts';
import { Samples, UseLog, similar } from '../../../src/vm-monitor/samples.ts';

test('the use is the two anonymous lists; other lines, and broken ones, do not count', () => {
  const text = 'anon 900\nactive_anon 700\ninactive_anon 150\nfile 5000\nshmem 80\nbroken line here\n';
  expect(anonymousBytes(text)).toBe(850);
});

test('a text without both lists is not a statistic, never zero', () => {
  for (const text of [
    ...['', 'anon 900\n', 'active_anon\n', 'active_anon 5 6\n', '\0\0'],
    ...['active_anon 7\ninactive_anon -3\n', 'inactive_anon 7\nactive_anon  3\n'],
    ...['active_anon 7\n', 'inactive_anon 7\n', 'active_anon 7\ninactive_anon 3'],
    'active_anon 7\ninactive_anon 9007199254740993\n',
  ])
    expect(anonymousBytes(text)).toBeNull();
  expect(anonymousBytes('active_anon 0\ninactive_anon 0\n')).toBe(0);
});

test('total memory comes from MemTotal in kB', () => {
  expect(memTotalBytes('MemTotal:        4026764 kB\nMemFree:          1 kB\n')).toBe(4_123_406_336);
  expect(memTotalBytes('MemFree: 1 kB\n')).toBeNull();
});

test('the limit of a container counts only when both of its files hold numbers', () => {
  expect(containerLimitBytes('5\n', '4096\n')).toBe(4096);
  expect(containerLimitBytes('5\n', 'max\n')).toBeNull();
  expect(containerLimitBytes(null, '4096\n')).toBeNull();
  expect(containerLimitBytes('5\n', null)).toBeNull();
});

test('the average is that of the last five samples, rounded down', () => {
  const samples = new Samples();
  const given = [2_097_152_000, 2_097_152_001, 2_097_152_002, 2_097_152_010, 2_097_152_011, 3_145_728_000];
  const averages = given.map((bytes) => {
    samples.add(bytes);
    return samples.averageBytes;
  });
  expect(averages).toEqual([
    2_097_152_000, 2_097_152_000, 2_097_152_001, 2_097_152_003, 2_097_152_004, 2_306_867_204,
  ]);
  expect(new Samples()).toMatchObject({ count: 0, averageBytes: 0 });
});

test('the average lies between the least and the greatest of the last five', () =>
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 2 ** 49 }), { minLength: 1, maxLength: 20 }), (given) => {
      const samples = new Samples();
      for (const bytes of given) samples.add(bytes);
      const last = given.slice(-5);
      expect(samples.count).toBe(last.length);
      expect(samples.averageBytes).toBeGreaterThanOrEqual(Math.min(...last));
      expect(samples.averageBytes).toBeLessThanOrEqual(Math.max(...last));
    }),
  ));

test('uses are similar when they are less than an eighth and less than 128 MiB apart', () => {
  expect(similar(800 * mib, 899 * mib)).toBe(true);
  expect(similar(800 * mib, 900 * mib)).toBe(false);
  expect(similar(8000 * mib, 8127 * mib)).toBe(true);
  expect(similar(8000 * mib, 8128 * mib)).toBe(false);
});

test('the use is logged at every twentieth sample at most, when it changed or after 15 s', () => {
  const log = new UseLog();
  const lines: number[] = [];
  for (let sample = 1; sample <= 400; sample++) {
    const bytes = sample < 100 ? 1000 * mib : 2000 * mib;
    if (log.due(bytes, sample * 100)) lines.push(sample);
  }
  expect(lines).toEqual([20, 100, 260]);
});
