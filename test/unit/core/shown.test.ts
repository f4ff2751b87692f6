import { expect, test } from 'vitest';
import { shownBytes, shownMs } from '../../../src/core/shown.ts';

test.each([
  [0, '0 s'],
  [-5, '0 s'],
  [59.6, '1 min'],
  [3600, '1 h'],
  [3661, '1 h 1 min'],
  [90_061, '1 d 1 h'],
  [86_400 * 400, '400 d'],
  [86_401, '1 d'],
])('%d seconds are %s', (seconds, text) => {
  expect(shownMs(seconds * 1000)).toBe(text);
});

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1.0 kB'],
  [1024 * 1024 - 1, '1.0 MB'],
  [1.5 * 1024 ** 3, '1.5 GB'],
  [5000 * 1024 ** 4, '5000.0 TB'],
])('%d bytes are %s', (bytes, text) => {
  expect(shownBytes(bytes)).toBe(text);
});
