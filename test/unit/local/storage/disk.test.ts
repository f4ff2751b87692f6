import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type DiskLevel, FillRate, levelOf, limitsFor } from '../../../../src/local/storage/disk.ts';

const MB = 1024 * 1024;
const none = { warnBytes: null, stopBytes: null };

test.each([
  [100, 10, 5],
  [1000, 100, 50],
  [100_000, 1024, 256],
])('of a disk of %i MB the default limits are %i and %i MB', (total, warn, stop) => {
  expect(limitsFor(total * MB, none)).toEqual({ warnBytes: warn * MB, stopBytes: stop * MB });
});

test('writes never stop before the warning, whichever limit is given', () => {
  const given = fc.option(fc.integer({ min: 0, max: 10 ** 12 }), { nil: null });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10 ** 13 }), given, given, (total, warnBytes, stopBytes) => {
      const limits = limitsFor(total, { warnBytes, stopBytes });
      expect(limits.stopBytes).toBeLessThanOrEqual(limits.warnBytes);
      expect(stopBytes ?? limits.stopBytes).toBe(limits.stopBytes);
    }),
  );
});

test('free space that swings around a limit does not stop and allow writes in turn', () => {
  const limits = { warnBytes: 200, stopBytes: 100 };
  let level: DiskLevel = 'ok';
  const seen = [150, 99, 101, 99, 120, 124, 125, 150, 240, 250].map((freeBytes) => {
    level = levelOf({ totalBytes: 1000, freeBytes, inodesLeft: true }, limits, level);
    return level;
  });
  expect(seen).toEqual(['low', 'stop', 'stop', 'stop', 'stop', 'stop', 'low', 'low', 'low', 'ok']);
});

test('without an inode nothing can be stored, however many bytes are free', () => {
  const limits = { warnBytes: 200, stopBytes: 100 };
  expect(levelOf({ totalBytes: 1000, freeBytes: 900, inodesLeft: false }, limits, 'ok')).toBe('stop');
});

test('a disk that fills evenly is full when the rate says so; one that does not has no such time', () => {
  const rate = new FillRate();
  rate.add(0, 10_000);
  expect(rate.bytesPerSecond).toBeNull();
  for (let second = 1; second <= 60; second++) rate.add(second * 1000, 10_000 - second * 50);
  expect(rate.bytesPerSecond).toBe(50);
  expect(rate.secondsUntilFull(7000)).toBe(140);
  const still = new FillRate();
  for (let second = 0; second <= 60; second++) still.add(second * 1000, 10_000);
  expect(still.bytesPerSecond).toBe(0);
  expect(still.secondsUntilFull(7000)).toBeNull();
  expect(new FillRate().secondsUntilFull(7000)).toBeNull();
});

test('what happened more than ten minutes ago does not count', () => {
  const rate = new FillRate();
  for (let second = 0; second <= 600; second += 5) rate.add(second * 1000, 1_000_000 - second * 1000);
  for (let second = 605; second <= 1300; second += 5) rate.add(second * 1000, 400_000);
  expect(rate.bytesPerSecond).toBe(0);
});

test('what the first minute wrote does not say that the disk is full tomorrow', () => {
  const rate = new FillRate();
  for (let second = 0; second <= 60; second += 5) rate.add(second * 1000, 10 ** 9 - second * 1000);
  expect(rate.secondsUntilFull(6 * 10 ** 6)).toBe(6000);
  expect(rate.secondsUntilFull(7 * 10 ** 6)).toBeNull();
});
