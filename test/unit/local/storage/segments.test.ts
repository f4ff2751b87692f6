import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { listSegments, segmentName, segmentNumber } from '../../../../src/local/storage/segments.ts';

const megabyte = 1024 * 1024;

test('a segment is named after its timeline and place', () => {
  expect(segmentName(0x0e, megabyte)).toBe('00000001000000000000000E');
  expect(segmentName(4096, megabyte)).toBe('000000010000000100000000');
  expect(segmentName(256, 16 * megabyte)).toBe('000000010000000100000000');
});

test('names and numbers of segments belong together, whatever their size', () => {
  const sizes = fc.integer({ min: 0, max: 10 }).map((power) => megabyte * 2 ** power);
  fc.assert(
    fc.property(fc.nat({ max: 2 ** 31 }), sizes, (number, size) => {
      expect(segmentNumber(segmentName(number, size), size)).toBe(number);
    }),
  );
});

test('files that are no segment of timeline 1 are passed over, and whole segments beat partial ones', () => {
  const dir = mkdtempSync(join(tmpdir(), 'segments-'));
  try {
    const files = [
      '000000010000000000000002.partial',
      '000000010000000000000001',
      '000000010000000000000002',
    ];
    const others = [
      '00000002.history',
      '000000020000000000000003',
      '000000010000000000001000',
      'archive_status',
      'x',
    ];
    for (const name of [...files, ...others]) writeFileSync(join(dir, name), '');
    expect(listSegments(dir, megabyte).map(({ number, partial }) => [number, partial])).toEqual([
      [1, false],
      [2, false],
    ]);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
