import { expect, test } from 'vitest';
import { keepOf } from '../../../../src/local/branches/keep.ts';
import { type Listed, listText } from '../../../../src/local/branches/list.ts';

const main: Listed = {
  name: 'main',
  state: 'running',
  parent: null,
  parent_lsn: null,
  created_at: null,
  expires_at: null,
  restorable: { from_lsn: '0/2000028', from_time: '2026-03-04T12:00:31.000Z', to_lsn: '0/3000000' },
  restorable_ranges: [{ from_lsn: '0/2000028', from_time: '2026-03-04T12:00:31.000Z', to_lsn: '0/3000000' }],
  keep_seconds: null,
  port: 25_432,
  http_port: 3080,
  storage_bytes: 5_000_000,
  shared_bytes: 0,
  dir: '/data',
};

test('the list shows what a person asks for, one line for each compute', () => {
  const dev: Listed = {
    ...main,
    ...{ name: 'dev', state: 'stopped', parent: 'main', parent_lsn: '0/2FFFFF8' },
    ...{ restorable: null, restorable_ranges: [] },
    ...{ expires_at: '2026-03-04T14:00:00.000Z', port: 20_001 },
  };
  expect(listText([main, dev], Date.parse('2026-03-04T13:00:00Z'))).toBe(
    [
      'NAME  STATE    PARENT  AT         RESTORABLE FROM                 EXPIRES IN  PORT   OWN     SHARED',
      'main  running  -       -          0/2000028 2026-03-04 12:00 UTC  -           25432  4.8 MB  0 B',
      'dev   stopped  main    0/2FFFFF8  -                               1 h         20001  4.8 MB  0 B',
      '',
    ].join('\n'),
  );
});

test('a history of which not everything can be restored is told range by range', () => {
  const second = { from_lsn: '0/4000028', from_time: '2026-03-04T12:30:00.000Z', to_lsn: '0/5000000' };
  const both = { ...main, restorable_ranges: [...main.restorable_ranges, second] };
  expect(listText([both], 0).split('\n')[2]).toBe(
    '  main: 0/2000028 (2026-03-04 12:00 UTC) to 0/3000000, and 0/4000028 (2026-03-04 12:30 UTC) to 0/5000000 can be restored, and nothing in between',
  );
});

test('what is kept is as given, else as before; 0 keeps nothing', () => {
  const none = { keep: null, keepAtMost: null };
  expect(keepOf(null, none)).toBe(null);
  expect(keepOf(null, { keep: 60, keepAtMost: null })).toEqual({ seconds: 60, maxBytes: null });
  const before = { seconds: 60, maxBytes: 5 };
  expect(keepOf(before, none)).toEqual(before);
  expect(keepOf(before, { keep: 70, keepAtMost: null })).toEqual({ seconds: 70, maxBytes: 5 });
  expect(keepOf(before, { keep: null, keepAtMost: 6 })).toEqual({ seconds: 60, maxBytes: 6 });
  expect(keepOf(before, { keep: 0, keepAtMost: null })).toBe(null);
});
