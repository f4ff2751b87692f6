import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { type CompactionOptions, compact } from '../../../src/local/storage/compaction.ts';
import type { TimelineDir } from '../../../src/local/storage/layout.ts';
import { listSegments } from '../../../src/local/storage/segments.ts';
import type { RunningStorage } from '../../../src/local/storage/serve.ts';
import { eventually } from '../../support/program.ts';
import { type LocalFixture, fetchArchive, localFixture, never, withStorage } from './fixture.ts';

const fill = (from: number, to: number): string =>
  `insert into t select n, repeat('x', 200) from generate_series(${from}, ${to}) n`;
const sum = 'select count(*)::int as n, sum(n)::int as sum from t';
const expected = (to: number): unknown[] => [{ n: to, sum: (to * (to + 1)) / 2 }];

const optionsFor = (
  local: LocalFixture,
  { timeline }: RunningStorage,
): Pick<CompactionOptions, 'timeline' | 'tools' | 'log'> => ({
  timeline,
  tools: local.tools,
  log: pino({ level: 'silent' }),
});

const bases = (dir: TimelineDir): string[] => readdirSync(dir.bases).toSorted();

test('a new base of the running compute replaces the old one and the WAL before it', async () => {
  const local = await localFixture();
  const storage = await local.serve(4 * 1024 * 1024);
  try {
    const compute = await local.startCompute();
    await compute.query('create table t (n int, pad text)');
    await compute.query(fill(1, 30_000));
    await expect.poll(() => storage.timeline.base.number).toBe(2);
    await compute.query(fill(30_001, 40_000));
    const { dir, base } = storage.timeline;
    expect(bases(dir)).toEqual(['2']);
    expect(listSegments(dir.wal, base.walSegmentBytes)[0]?.number).toBe(
      Math.floor(Number(base.startLsn) / base.walSegmentBytes),
    );
    await compute.kill('SIGKILL');
    const next = await local.startCompute();
    expect(await next.query(sum)).toEqual(expected(40_000));
  } finally {
    await storage.close();
    local.remove();
  }
});

test('writers go on while a new base is taken, and nothing they committed is missing from it', async () => {
  await withStorage(async ({ local, storage }) => {
    const compute = await local.startCompute();
    await compute.query('create table t (n int, pad text)');
    let n = 0;
    const enough = new AbortController();
    const writer = (async () => {
      while (!enough.signal.aborted) await compute.query(fill(n + 1, n + 50)).then(() => (n += 50));
    })();
    for (let round = 0; round < 3; round++) await compact(optionsFor(local, storage), never);
    enough.abort();
    await writer;
    expect(storage.timeline.base.number).toBe(4);
    await compute.kill('SIGKILL');
    const next = await local.startCompute();
    expect(await next.query(sum)).toEqual(expected(n));
  });
});

test('a base that is taken while another compute gets the data is thrown away', async () => {
  await withStorage(async ({ local, storage }) => {
    const compute = await local.startCompute('old');
    await compute.query('create table t (n int, pad text)');
    const half = compact(optionsFor(local, storage), never);
    const outcome = half.catch((error: unknown) => error);
    await fetchArchive(local);
    expect(await outcome).toMatchObject({ code: 'conflict' });
    expect(bases(storage.timeline.dir)).toEqual(['1']);
  });
});

test('a pg_basebackup that dies in the middle of a file leaves the old base, and the storage alive', async () => {
  await withStorage(async ({ local, storage }) => {
    const compute = await local.startCompute();
    await compute.query('create table t (n int, pad text)');
    await compute.query(fill(1, 1000));
    const { postgres } = local.tools;
    // In the middle of different files, one large and one small, and in a header.
    for (const bytes of [300, 100_000, 3_000_000, 9_000_100]) {
      const cut = join(local.dir.run, `pg_basebackup-${bytes}`);
      const script = `#!/bin/bash\nset -o pipefail\n${postgres.sibling('pg_basebackup')} "$@" | head -c ${bytes}\n`;
      writeFileSync(cut, script, { mode: 0o755 });
      const sibling = (name: string): string => (name === 'pg_basebackup' ? cut : postgres.sibling(name));
      const tools = { ...local.tools, postgres: { ...postgres, sibling } };
      await expect(compact({ ...optionsFor(local, storage), tools }, never)).rejects.toThrow(
        'pg_basebackup failed',
      );
      expect(bases(storage.timeline.dir)).toEqual(['1']);
    }
    await compact(optionsFor(local, storage), never);
    await compute.kill('SIGKILL');
    const next = await local.startCompute();
    expect(await next.query(sum)).toEqual(expected(1000));
  });
});

test('without a compute there is nothing to take a base from', async () => {
  await withStorage(async ({ local, storage }) => {
    await expect(compact(optionsFor(local, storage), never)).rejects.toThrow('none is attached');
  });
});

/** What a storage killed at this point of a compaction leaves on disk, made of the states before and after it. */
const crashes: Record<string, (before: string, dir: TimelineDir) => void> = {
  'while the new base is being written': (before, dir) => {
    execFileSync('sh', ['-c', `rm -rf ${dir.root} && cp -a ${before} ${dir.root}`]);
    mkdirSync(join(dir.bases, '2.new'));
    writeFileSync(join(dir.bases, '2.new', 'base.deflate'), 'half');
  },
  'when the new base is complete but not yet in use': (before, dir) => {
    execFileSync('sh', [
      '-c',
      `cp -a ${dir.bases}/2 ${before}/bases/ && rm -rf ${dir.root} && cp -a ${before} ${dir.root}`,
    ]);
    execFileSync('ln', ['-s', 'bases/2', `${dir.current}.new`]);
  },
  'when the new base is in use and the old one still there': (before, dir) => {
    execFileSync('sh', ['-c', `cp -an ${before}/bases/1 ${dir.bases}/ ; cp -an ${before}/wal/. ${dir.wal}/`]);
    // The copy was taken while its last segment was being received; the directory holds that one whole by now.
    execFileSync('sh', [
      '-c',
      `cd ${dir.wal} && for f in *.partial; do [ -e "\${f%.partial}" ] && rm "$f"; done; true`,
    ]);
  },
};

/** A copy of a timeline's directory: of a moment when no segment was given its name, which would be missing from it. */
const copyAtRest = (dir: TimelineDir, to: string): Promise<true> =>
  eventually('a copy with every segment', () => {
    const names = readdirSync(dir.wal).toString();
    execFileSync('sh', ['-c', `rm -rf ${to} && cp -a ${dir.root} ${to}`], { stdio: 'pipe' });
    return readdirSync(dir.wal).toString() === names || undefined;
  });

test.each(Object.keys(crashes))('a crash %s leaves a usable base', async (point) => {
  const local = await localFixture();
  let storage = await local.serve();
  try {
    const compute = await local.startCompute();
    await compute.query('create table t (n int, pad text)');
    await compute.query(fill(1, 20_000));
    await compute.query('select pg_switch_wal()');
    const { dir } = storage.timeline;
    // The second copy of the WAL is what the crash finds: everything was received in either case.
    const before = `${dir.root}.before`;
    await copyAtRest(dir, before);
    await compact(optionsFor(local, storage), never);
    await compute.kill('SIGKILL');
    await storage.close();
    execFileSync('sh', [
      '-c',
      `cp -an ${dir.wal}/. ${before}/wal/; cp ${dir.fence} ${before}/; cd ${before}/wal && for f in *.partial; do [ -e "\${f%.partial}" ] && rm "$f"; done; true`,
    ]);
    crashes[point]?.(before, dir);
    storage = await local.serve();
    const next = await local.startCompute();
    expect(await next.query(sum)).toEqual(expected(20_000));
    expect(bases(dir)).toHaveLength(1);
    expect(existsSync(join(dir.bases, '2.new'))).toBe(false);
    await compact(optionsFor(local, storage), never);
    await next.kill('SIGKILL');
    const last = await local.startCompute();
    expect(await last.query(sum)).toEqual(expected(20_000));
  } finally {
    await storage.close();
    local.remove();
  }
});
