import { expect, test } from 'vitest';
import { parseLsn } from '../../../../src/core/lsn.ts';
import { canAdvance } from '../../../../src/local/next/template.ts';
import type { Source } from '../../../../src/local/next/source.ts';
import type { PreparedNote } from '../../../../src/postgres/prepared/note.ts';

const lsn = (text: string) => parseLsn(text)!;
const note: PreparedNote = {
  tenantId: 'a',
  timelineId: 'b',
  lsn: lsn('0/5000000'),
  checkpoint: lsn('0/4FFFF88'),
  systemId: '1',
  postgresMajor: 17,
  postgresTimeline: 1,
  bootId: 'boot',
  version: '1.0.0',
};
const from = (number: number): Source => {
  const segment = { number, name: '', path: '', partial: false };
  return { base: { walSegmentBytes: 1 << 20 }, segments: [segment] } as unknown as Source;
};

test('a template is advanced along the same history, when all WAL since then is stored', () => {
  const old = { ...note, lsn: lsn('0/4100000') };
  expect(canAdvance(old, note, from(0x41))).toBe(true);
  expect(canAdvance(note, note, from(0x41))).toBe(true);
  expect(canAdvance(old, note, from(0x42))).toBe(false);
  expect(canAdvance({ ...note, lsn: lsn('0/5000008') }, note, from(0x41))).toBe(false);
  expect(canAdvance({ ...old, postgresTimeline: 2 }, note, from(0x41))).toBe(false);
  expect(canAdvance({ ...old, bootId: 'last' }, note, from(0x41))).toBe(false);
  expect(canAdvance({ ...old, systemId: '2' }, note, from(0x41))).toBe(false);
});
