import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { never } from '../../../../src/core/abort.ts';
import { parseLsn } from '../../../../src/core/lsn.ts';
import { canAdvance, newBytesOf, updateTemplate } from '../../../../src/local/next/template.ts';
import type { Source } from '../../../../src/local/next/source.ts';
import { placesIn } from '../../../../src/local/state.ts';
import { type PreparedNote, noteFile, noteText } from '../../../../src/postgres/prepared/note.ts';

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

test('a template that does not fit now is never used later, when the storage has come to its LSN by another way', async () => {
  const root = mkdtempSync(join(tmpdir(), 'template-'));
  try {
    const dir = placesIn(root);
    mkdirSync(dir.nextTemplate);
    const noteIn = join(dir.nextTemplate, noteFile);
    writeFileSync(noteIn, noteText(note));
    const context = { dir, onlyAdvance: true, onCopied() {} } as unknown as Parameters<
      typeof updateTemplate
    >[0];
    const restored = { ...note, lsn: lsn('0/4000000') };
    await expect(updateTemplate(context, from(0x40), restored, never)).rejects.toThrow('not of this history');
    expect(existsSync(noteIn)).toBe(false);
  } finally {
    rmSync(root, { recursive: true });
  }
});

test('what a template lacks is the WAL from the segment that it ends in', () => {
  const root = mkdtempSync(join(tmpdir(), 'template-'));
  try {
    const dir = placesIn(root);
    mkdirSync(dir.nextTemplate);
    const segments = [0x40, 0x41, 0x42].map((number) => ({ number, name: '', path: '', partial: false }));
    const source = { ...from(0x40), segments } as unknown as Source;
    expect(newBytesOf(dir, note, source)).toBeNull();
    writeFileSync(join(dir.nextTemplate, noteFile), noteText({ ...note, lsn: lsn('0/4100000') }));
    expect(newBytesOf(dir, note, source)).toBe(2 << 20);
    expect(newBytesOf(dir, { ...note, bootId: 'next' }, source)).toBeNull();
  } finally {
    rmSync(root, { recursive: true });
  }
});
