import { expect, test } from 'vitest';
import { parseLsn } from '../../../../src/core/lsn.ts';
import { type PreparedNote, noteText, parseNote, unfit } from '../../../../src/postgres/prepared/note.ts';

const lsn = (text: string) => parseLsn(text)!;
const note: PreparedNote = {
  tenantId: 'a'.repeat(32),
  timelineId: 'b'.repeat(32),
  lsn: lsn('0/2000148'),
  checkpoint: lsn('0/20000D0'),
  systemId: '7300000000000000001',
  postgresMajor: 17,
  postgresTimeline: 1,
  bootId: 'boot',
  version: '1.0.0',
};
const control = { systemId: note.systemId, checkpoint: note.checkpoint };

test('a note is read as it was written, and nothing else is one', () => {
  expect(parseNote(noteText(note))).toEqual(note);
  for (const text of ['', '{}', 'null', noteText(note).slice(1), noteText(note).replace('0/2000148', 'x')])
    expect(parseNote(text)).toBeNull();
});

test('only a directory for exactly this start is used', () => {
  expect(unfit(note, note, control)).toBeNull();
  const other = lsn('0/2000140');
  expect(unfit(note, { ...note, tenantId: 'c' }, control)).toContain('it is of tenant');
  expect(unfit(note, { ...note, timelineId: 'c' }, control)).toContain('it is of tenant');
  expect(unfit(note, { ...note, lsn: other }, control)).toBe(
    'it ends at LSN 0/2000148, and this start is at 0/2000140',
  );
  expect(unfit(note, { ...note, postgresMajor: 18 }, control)).toContain('PostgreSQL 17');
  expect(unfit(note, { ...note, bootId: 'next' }, control)).toContain('started again');
  expect(unfit(note, { ...note, version: '1.0.1' }, control)).toContain('version 1.0.0 made it');
  const unknown = { ...note, bootId: 'unknown' };
  expect(unfit(unknown, unknown, control)).toContain('started again');
  expect(unfit(note, note, null)).toContain('not stopped in order');
  expect(unfit(note, note, { ...control, systemId: '1' })).toContain('pg_control');
  expect(unfit(note, note, { ...control, checkpoint: other })).toContain('pg_control');
});
