import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import {
  type Base,
  heldTimelines,
  nextNumber,
  removeFormerWal,
  removeOtherBases,
  removeUnfinished,
  timelineDir,
} from '../../../../src/local/storage/layout.ts';

const [tenant, timeline] = ['a'.repeat(32), 'b'.repeat(32)];

function freshTimeline(...files: readonly string[]): ReturnType<typeof timelineDir> {
  const home = mkdtempSync(join(tmpdir(), 'layout-'));
  onTestFinished(() => rmSync(home, { recursive: true }));
  const dir = timelineDir(home, tenant, timeline);
  mkdirSync(dir.bases, { recursive: true });
  for (const file of files) {
    mkdirSync(dirname(join(dir.root, file)), { recursive: true });
    writeFileSync(join(dir.root, file), file);
  }
  return dir;
}

const base = (number: number): string[] => [`bases/${number}/base.json`, `bases/${number}/base.deflate`];

test('old and unfinished base backups are removed without what somebody else put beside or into them', () => {
  const foreign = [
    'bases/notes.txt',
    'bases/copy/base.json',
    'bases/notes.new/x',
    'bases/1/notes',
    'bases/3.new/notes',
  ];
  const dir = freshTimeline(
    ...base(1),
    ...base(2),
    ...base(3),
    'bases/3.new/base.json',
    'bases/4.new/base.deflate',
    ...foreign,
  );
  removeUnfinished(dir);
  removeOtherBases(dir, [{ number: 3 }]);
  expect(readdirSync(dir.bases).toSorted()).toEqual(['1', '3', '3.new', 'copy', 'notes.new', 'notes.txt']);
  expect([...foreign, ...base(3)].filter((path) => !existsSync(join(dir.root, path)))).toEqual([]);
  expect(existsSync(join(dir.root, 'bases/1/base.json'))).toBe(false);
});

test('the next base backup gets a number that no directory has, also one that somebody else created', () => {
  expect(nextNumber(freshTimeline())).toBe(1);
  expect(nextNumber(freshTimeline(...base(2), 'bases/9/notes', 'bases/12.new/x'))).toBe(10);
});

test('former WAL is removed without what somebody else put beside it', () => {
  const [segment, history] = ['00000001000000000000000A', '00000002.history'];
  const dir = freshTimeline(
    `wal/${segment}`,
    `wal/${segment}.partial`,
    'wal/notes',
    `wal-2/${history}`,
    `wal-3/${segment}`,
  );
  removeFormerWal(dir, [{ timeline: 3 } as Base]);
  expect(readdirSync(dir.wal)).toEqual(['notes']);
  expect(readdirSync(dir.root).toSorted()).toEqual(['bases', 'wal', 'wal-3']);
});

test('a storage holds the timelines of which something of ours is left, not directories that are named alike', () => {
  const home = (dir: ReturnType<typeof timelineDir>): string => dirname(dirname(dir.root));
  expect(heldTimelines(join(tmpdir(), 'no-such-storage'))).toEqual([]);
  expect(heldTimelines(home(freshTimeline('bases/notes.txt', 'notes')))).toEqual([]);
  const held = [{ tenantId: tenant, timelineId: timeline }];
  expect(heldTimelines(home(freshTimeline(...base(1))))).toEqual(held);
  expect(heldTimelines(home(freshTimeline('wal/00000001000000000000000A')))).toEqual(held);
  const linked = freshTimeline();
  symlinkSync('bases/1', linked.current);
  expect(heldTimelines(home(linked))).toEqual(held);
});
