import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { createReport } from '../../../src/local/report.ts';

test('progress that looks the same is not written again: a terminal saw thousands of equal lines', () => {
  const out = Object.assign(new PassThrough(), { isTTY: true });
  const report = createReport(out as unknown as NodeJS.WriteStream, false);
  for (let megabyte = 0; megabyte < 3; megabyte++) {
    for (let chunk = 0; chunk < 100; chunk++) report.progress('Copying ...', `${megabyte} MB`);
  }
  report.event('done', {}, 'Done.');
  const text = String(out.read());
  expect(text.split('\r').map((line) => line.trim())).toEqual([
    '',
    'Copying ... 0 MB',
    'Copying ... 1 MB',
    'Copying ... 2 MB\nDone.',
  ]);
});
