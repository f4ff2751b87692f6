import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { copiedText, showCopied } from '../../../src/local/copied.ts';
import { createReport } from '../../../src/local/report.ts';
import { type Copied, Copying } from '../../../src/local/storage/copying.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }));
afterEach(() => void vi.useRealTimers());

const stream = (isTTY: boolean, columns?: number): NodeJS.WriteStream & PassThrough =>
  Object.assign(new PassThrough(), { isTTY, columns }) as unknown as NodeJS.WriteStream & PassThrough;
const gb = 1024 ** 3;
const half: Copied = { bytes: 5 * gb, total_bytes: 10 * gb, ms: 12_800 };

test('of a copy it says how much, how fast and how long', () => {
  expect(copiedText(half)).toBe('50 %, 5.0 GB of 10.0 GB, 400.0 MB/s, 13 s left');
  expect(copiedText({ ...half, bytes: 10 * gb })).toBe('100 %, 10.0 GB of 10.0 GB, 800.0 MB/s');
  expect(copiedText({ bytes: 0, total_bytes: 0, ms: 0 })).toBe('0 %, 0 B of 0 B, 0 B/s');
});

test('on a terminal it is a bar on stderr, which is not longer than the terminal', () => {
  const [out, err] = [stream(true), stream(true, 60)];
  const report = createReport(out, false, err);
  showCopied(half, report);
  showCopied({ ...half, bytes: 10 * gb }, report);
  report.event('ready', {}, 'Ready.');
  expect(String(err.read()).split('\r')).toEqual([
    '',
    'Copying the data ... [#####-----] 50 %, 5.0 GB of 10.0 GB, ',
    'Copying the data ... [##########] 100 %, 10.0 GB of 10.0 GB\n',
  ]);
  expect(String(out.read())).toBe('Ready.\n');
});

test('elsewhere it is a line every few seconds', () => {
  const [out, err] = [stream(false), stream(false)];
  const report = createReport(out, false, err);
  for (let second = 0; second < 12; second++) {
    showCopied({ ...half, bytes: second * gb }, report);
    vi.advanceTimersByTime(1000);
  }
  const lines = String(err.read()).trimEnd().split('\n');
  expect(lines.map((line) => /, (.*) of/.exec(line)?.[1])).toEqual(['0 B', '5.0 GB', '10.0 GB']);
  expect(out.read()).toBe(null);
});

test('in JSON it is an event with numbers', () => {
  const [out, err] = [stream(false), stream(false)];
  showCopied(half, createReport(out, true, err));
  expect(JSON.parse(String(out.read()))).toMatchObject({ event: 'copying', ...half });
  expect(err.read()).toBe(null);
});

test('nothing is said of a copy that takes less than two seconds', async () => {
  const told: Copied[] = [];
  const seen: (number | null)[] = [];
  const copying = new Copying((copied) => told.push(copied));
  async function* pieces(): AsyncGenerator<Buffer> {
    for (let piece = 0; piece < 40; piece++) {
      yield Buffer.alloc(10);
      vi.advanceTimersByTime(100);
      seen.push(copying.now?.bytes ?? null);
    }
  }
  let got = 0;
  for await (const piece of copying.counted(pieces(), 800, (sent) => 2 * sent)) got += piece.length;
  expect(got).toBe(400);
  expect(told.map(({ bytes, ms }) => [bytes, ms])).toEqual([
    [420, 2000],
    [520, 2500],
    [620, 3000],
    [720, 3500],
  ]);
  expect([seen[15], seen[22], copying.now]).toEqual([null, 420, null]);
});
