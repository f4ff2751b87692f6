import {
  linkSync,
  lstatSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Lsn, formatLsn, parseLsn } from '../../../src/core/lsn.ts';
import { askStorage } from '../../../src/local/storage-api.ts';
import { fork, forkPoint } from '../../../src/local/storage/fork.ts';
import {
  type Base,
  type Bases,
  storedBases,
  takenMs,
  timelineDir,
} from '../../../src/local/storage/layout.ts';
import { rangesOf, restorableOf } from '../../../src/local/storage/ranges.ts';
import { restorableRange } from '../../../src/local/storage/storage-status.ts';
import { WalEnd } from '../../../src/local/storage/wal-end.ts';
import { eventually } from '../../support/program.ts';
import { localFixture, never, withStorage } from './fixture.ts';

const inserted = `select pg_current_wal_insert_lsn()::text as lsn,
  (extract(epoch from clock_timestamp()) * 1000)::float8 as ms`;
const fill = `insert into t select n, repeat('x', 200) from generate_series(1, 30000) n`;

test('a fork at an LSN, at a moment and at the end has exactly the records before it, and shares what is finished', async () => {
  await withStorage(async ({ local, storage }) => {
    const compute = await local.startCompute();
    const where = async (): Promise<{ lsn: Lsn; ms: number }> => {
      const [row] = await compute.query(inserted);
      return { lsn: parseLsn(String(row?.['lsn'])) as Lsn, ms: Number(row?.['ms']) };
    };
    await compute.query('create table t (n int, pad text)');
    await compute.query(fill);
    const early = await where();
    await compute.query('insert into t values (1)');
    const middle = await where();
    // Records of a transaction that is committed after that moment.
    await compute.query('begin; insert into t values (2); select pg_sleep(0.05); commit');
    await compute.query('select pg_switch_wal()');
    await compute.query('insert into t values (3)');
    const late = await where();
    const { dir, base } = storage.timeline;
    await expect.poll(() => storage.timeline.end() >= late.lsn).toBe(true);
    const at = (lsn: Lsn): Lsn => forkPoint(dir, { lsn }).lsn;
    expect(at(early.lsn)).toBe(early.lsn);
    // In the middle of a record: before it.
    expect(at((early.lsn + 8n) as Lsn)).toBe(early.lsn);
    expect(at(middle.lsn)).toBe(middle.lsn);
    const byTime = forkPoint(dir, { timeMs: middle.ms + 20 }).lsn;
    expect(byTime > middle.lsn && byTime < late.lsn).toBe(true);
    expect(forkPoint(dir, { timeMs: early.ms }).lsn < middle.lsn).toBe(true);
    expect(forkPoint(dir, { timeMs: Date.now() }).lsn).toBe(storage.timeline.end());
    const range = restorableOf(dir);
    expect([range.from, range.to]).toEqual([base.stopLsn, storage.timeline.end()]);
    for (const wrong of [{ lsn: 8n as Lsn }, { lsn: (late.lsn + 999_999n) as Lsn }])
      expect(() => forkPoint(dir, wrong)).toThrow(`${formatLsn(range.from)} (`);
    expect(() => forkPoint(dir, { timeMs: Date.now() + 60_000 })).toThrow('is in the future');
    expect(() => forkPoint(dir, { timeMs: range.fromMs - 1000 })).toThrow('before the oldest base backup');

    const fresh = timelineDir(local.dir.storage, 'a'.repeat(32), 'b'.repeat(32));
    for (const lsn of [early.lsn, byTime, storage.timeline.end()]) {
      fork(dir, forkPoint(dir, { lsn }), fresh);
      const end = new WalEnd(fresh.wal, base.walSegmentBytes, base.startLsn).find();
      expect(formatLsn(end as Lsn)).toBe(formatLsn(lsn));
      const files = readdirSync(fresh.wal).toSorted();
      expect(files.at(-1)).toMatch(/\.partial$/);
      for (const name of files.slice(0, -1)) {
        const [ours, theirs] = [fresh.wal, dir.wal].map((path) => lstatSync(join(path, name)).ino);
        expect(ours).toBe(theirs);
      }
      rmSync(fresh.root, { recursive: true });
    }
    // What the parent removes stays in the fork; what is gone before cannot be taken.
    const [first = ''] = readdirSync(dir.wal).toSorted();
    linkSync(join(dir.wal, first), join(local.dir.root, 'kept'));
    rmSync(join(dir.wal, first));
    expect(() => fork(dir, forkPoint(dir, { lsn: early.lsn }), fresh)).toThrow(/was removed|no such file/i);
    linkSync(join(local.dir.root, 'kept'), join(dir.wal, first));
  });
});

test('with --keep, older base backups and their WAL stay until they are too old or take too much', async () => {
  const local = await localFixture();
  const { dir: root, state } = local;
  const dir = timelineDir(root.storage, state.tenantId, state.timelineId);
  const bases = (): string[] =>
    readdirSync(dir.bases)
      .filter((name) => /^\d+$/.test(name))
      .toSorted();
  Object.assign(state, { keep: { seconds: 86_400, maxBytes: null } });
  const storage = await local.serve(4 * 1024 * 1024);
  let early = 0n as Lsn;
  try {
    const compute = await local.startCompute();
    await compute.query('create table t (n int, pad text)');
    const [row] = await compute.query(inserted);
    early = parseLsn(String(row?.['lsn'])) as Lsn;
    await compute.query(fill);
    await expect.poll(() => storage.timeline.base.number).toBe(2);
    expect(bases()).toEqual(['1', '2']);
    expect(storage.timeline.kept.oldest.number).toBe(1);
    expect(storage.timeline.kept.status()?.storedBytes).toBeGreaterThan(4_000_000);
    expect(forkPoint(dir, { lsn: early }).base.number).toBe(1);
    const { snapshot, release } = await storage.timeline.snapshot(false, early, never);
    expect(snapshot.base.number).toBe(1);
    release();
  } finally {
    await storage.close();
  }
  // A gap is not taken for the end of what was committed until then.
  const [, , gap = ''] = readdirSync(dir.wal).toSorted();
  const beforeSecond = takenMs((storedBases(dir) as Bases)[1] as Base) - 1;
  renameSync(join(dir.wal, gap), join(dir.root, 'away'));
  expect(() => forkPoint(dir, { timeMs: beforeSecond })).toThrow('before the next base backup');
  // What is before it can still be shown; what is in it is refused, with the name of the gap and both ranges.
  const gapped = await local.serve();
  try {
    const { snapshot, release } = await gapped.timeline.snapshot(false, early, never);
    expect(snapshot.base.number).toBe(1);
    expect(snapshot.segments.at(-1)?.name).toBe(readdirSync(dir.wal).toSorted()[1]);
    release();
    // Each is told, also by `status`: what is between them is gone.
    const ranges = rangesOf(dir).map(restorableRange);
    expect(ranges).toHaveLength(2);
    const { restorable, restorable_ranges: told } = await askStorage(state, never);
    expect(told).toEqual(ranges);
    expect([restorable.from_lsn, restorable.to_lsn]).toEqual([ranges[0]?.from_lsn, ranges[1]?.to_lsn]);
    const inside = gapped.timeline.base.startLsn;
    const said = new RegExp(
      `LSN ${formatLsn(inside)} is not stored: the WAL has a gap at ${gap}: \\S+ \\(.*\\) to \\S+, and \\S+ .* can be restored`,
    );
    await expect(gapped.timeline.snapshot(false, inside, never)).rejects.toThrow(said);
    expect(() => forkPoint(dir, { lsn: inside })).toThrow(said);
  } finally {
    await gapped.close();
  }
  renameSync(join(dir.root, 'away'), join(dir.wal, gap));
  // Also after a copy that did not keep the times of the files.
  utimesSync(join(dir.bases, '2', 'base.json'), 1, 1);
  expect(forkPoint(dir, { timeMs: beforeSecond }).base.number).toBe(1);

  // One that cannot be read for a while stays, with its WAL.
  const [facts, wal] = [join(dir.bases, '1', 'base.json'), readdirSync(dir.wal)];
  const whole = readFileSync(facts, 'utf8');
  writeFileSync(facts, '{');
  const meanwhile = await local.serve();
  await meanwhile.close();
  expect(bases()).toEqual(['1', '2']);
  expect(readdirSync(dir.wal)).toEqual(expect.arrayContaining(wal));
  writeFileSync(facts, whole);

  // A smaller bound counts from the next start on.
  Object.assign(state, { keep: { seconds: 86_400, maxBytes: 1024 } });
  const again = await local.serve();
  try {
    await eventually('the old base backup is removed', () => (bases().length === 1 ? true : undefined));
    expect(again.timeline.kept.oldest.number).toBe(2);
    expect(readdirSync(dir.wal).length).toBeLessThan(5);
  } finally {
    await again.close();
    local.remove();
  }
});
