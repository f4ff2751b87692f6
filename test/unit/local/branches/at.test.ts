import { expect, onTestFinished, test } from 'vitest';
import { parseAt } from '../../../../src/local/branches/at.ts';

const now = Date.parse('2026-03-04T12:00:00Z');
const at = (text: string): unknown => parseAt(text, now);

test('now, an LSN, a time with a zone, and a time that has passed', () => {
  expect(at('now')).toBe('end');
  expect(at(' 1/16b3748 ')).toEqual({ lsn: 0x1_016b_3748n });
  for (const text of [
    '2026-03-04T10:00:00Z',
    '2026-03-04 10:00Z',
    '2026-03-04 12:00:00.000+02:00',
    '2026-03-04T12:00:00+0200',
    '2026-03-04 12:00 +02',
    '2 hours ago',
    '120m ago',
    '7200 seconds  ago',
  ])
    expect(at(text)).toEqual({ timeMs: now - 7_200_000 });
  expect(at('2026-03-04 10:00:00.25+00')).toEqual({ timeMs: now - 7_200_000 + 250 });
  expect(at('2026-03-04 10:00:00.123456+00')).toEqual({ timeMs: now - 7_200_000 + 123.456 });
  expect(at('1 week ago')).toEqual({ timeMs: now - 7 * 86_400_000 });
});

test('without a zone, it is the time of this machine', () => {
  expect(at('2026-03-04 10:00')).toEqual({ timeMs: new Date(2026, 2, 4, 10).getTime() });
  expect(at('2026-03-04')).toEqual({ timeMs: new Date(2026, 2, 4).getTime() });
});

test('a local time that the clocks show twice, or never, is refused, with the moments that it may mean', () => {
  const { TZ } = process.env;
  process.env['TZ'] = 'Europe/Berlin';
  onTestFinished(() => {
    if (TZ === undefined) delete process.env['TZ'];
    else process.env['TZ'] = TZ;
  });
  expect(at('2026-07-01 12:00')).toEqual({ timeMs: Date.parse('2026-07-01T10:00:00Z') });
  expect(at('2026-10-25 02:30+01')).toEqual({ timeMs: Date.parse('2026-10-25T01:30:00Z') });
  for (const wrong of ['2026-10-25 02:30', '2026-03-29 02:30'])
    expect(() => at(wrong)).toThrow(expect.objectContaining({ code: 'usage' }));
  expect(() => at('2026-10-25 02:30')).toThrow(
    expect.objectContaining({
      hint: 'give the time with its zone, 2026-10-25T00:30:00.000Z, 2026-10-25T01:30:00.000Z',
    }),
  );
  expect(at('2026-10-25 03:00')).toEqual({ timeMs: Date.parse('2026-10-25T02:00:00Z') });
});

test('what was longer ago than there are dates is before everything', () => {
  expect(at('999999999 weeks ago')).toEqual({ timeMs: 0 });
});

test.each([
  '',
  '2026-02-30',
  '2026-02-29T10:00:00Z',
  '2026-04-31 10:00',
  '2026-01-01 10:00+99',
  '2026-01-01T10:00:60Z',
  '0/0',
  'yesterday',
  '2 hours',
  '2 parsecs ago',
  '2026-13-01T00:00Z',
  '10:00',
  '04.03.2026',
  '1e9 s ago',
])('%j is not a point in the history', (text) => {
  expect(() => at(text)).toThrow(expect.objectContaining({ code: 'usage' }));
});
