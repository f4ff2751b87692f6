import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  listSegments,
  segmentAfterGap,
  segmentName,
  segmentNumber,
  segmentsFrom,
} from '../../../../src/local/storage/segments.ts';

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

test.each([
  ['whole segments and a partial one', ['1', '2', '3.partial'], ['1', '2', '3']],
  ['a partial segment that is still empty', ['1', '2', '3.partial-'], ['1', '2']],
  ['older segments, which do not count', ['0', '1'], ['1']],
  ['a gap', ['1', '3'], null],
  ['no beginning', ['2', '3'], null],
  ['a segment that is too short', ['1', '2-', '3'], null],
  ['a partial segment in the middle', ['1', '2.partial', '3'], null],
])('of %s the usable ones are listed', (_what, files, expected) => {
  const dir = mkdtempSync(join(tmpdir(), 'segments-'));
  try {
    for (const file of files) {
      const name = segmentName(Number.parseInt(file, 10), megabyte);
      const path = join(dir, file.includes('.partial') ? `${name}.partial` : name);
      writeFileSync(path, Buffer.alloc(file.endsWith('-') ? 100 : megabyte));
    }
    const found = segmentsFrom(dir, megabyte, 1)?.map(({ number }) => String(number)) ?? null;
    expect(found).toEqual(expected);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

/** Finishes one segment after the other, as pg_receivewal does. */
const receiver = `
  const { closeSync, ftruncateSync, openSync, renameSync } = require('node:fs');
  const { workerData: { dir, names, bytes }, parentPort } = require('node:worker_threads');
  for (const name of names) {
    const fd = openSync(dir + '/' + name + '.partial', 'w');
    ftruncateSync(fd, bytes);
    closeSync(fd);
    renameSync(dir + '/' + name + '.partial', dir + '/' + name);
  }
  parentPort.postMessage('done');
`;

test('segments that are finished while their directory is listed are no gap', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'segments-'));
  const names = Array.from({ length: 4000 }, (_, at) => segmentName(at + 1, megabyte));
  const worker = new Worker(receiver, { eval: true, workerData: { dir, names, bytes: megabyte } });
  try {
    let isDone = false;
    const ended = once(worker, 'message').then(() => (isDone = true));
    const looks: boolean[] = [];
    while (!isDone) {
      looks.push(segmentsFrom(dir, megabyte, 1) !== null && segmentAfterGap(dir, megabyte, 1) === null);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await ended;
    expect(looks).not.toContain(false);
    expect(segmentsFrom(dir, megabyte, 1)).toHaveLength(names.length);
  } finally {
    await worker.terminate();
    rmSync(dir, { recursive: true });
  }
});
