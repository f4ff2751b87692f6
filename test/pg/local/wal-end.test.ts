import { execFileSync } from 'node:child_process';
import {
  closeSync,
  cpSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Lsn, formatLsn, parseLsn } from '../../../src/core/lsn.ts';
import { WalEnd } from '../../../src/local/storage/wal-end.ts';
import { scratchDir } from '../../support/cluster.ts';
import { type LocalFixture, withStorage } from './fixture.ts';

const megabyte = 1024 * 1024;
const flushed = 'select pg_current_wal_flush_lsn()::text as lsn';

const workloads = {
  'one small row': 'insert into t values (1, null)',
  'a segment switch': 'select pg_switch_wal()',
  'one record over several segments': `select pg_logical_emit_message(false, 'x', repeat('a', 3500000))`,
  'many records': `insert into t select n, repeat('x', 50) from generate_series(1, 60000) n`,
  'a checkpoint': 'checkpoint',
  'a commit after all that': 'insert into t values (2, null)',
};

test('the end of the received WAL is where Postgres says it has flushed to, followed or found from scratch', async () => {
  await withStorage(async ({ local, storage }) => {
    const compute = await local.startCompute();
    await compute.query('create table t (n int, pad text)');
    const { base } = storage.timeline;
    for (const [what, sql] of Object.entries(workloads)) {
      await compute.query(sql);
      await expect
        .poll(
          async () => {
            const [row] = await compute.query(flushed);
            const fresh = new WalEnd(storage.timeline.dir.wal, base.walSegmentBytes, base.startLsn).find();
            return [formatLsn(storage.timeline.end()), formatLsn(fresh ?? (0n as Lsn))].map(
              (end) => end === row?.['lsn'],
            );
          },
          { message: what },
        )
        .toEqual([true, true]);
    }
  });
});

test('an unfinished record is cut off, and what a new compute writes over it is followed', async () => {
  await withStorage(async ({ local, storage: first }) => {
    const compute = await local.startCompute();
    await compute.query('create table t (n int)');
    await compute.query('insert into t values (1)');
    const before = first.timeline.end();
    await compute.query(
      `select pg_logical_emit_message(false, 'x', repeat('a', 2500000)); create table after ()`,
    );
    await compute.kill('SIGKILL');
    // The compaction may have asked this storage for the end already, and it remembers what it found.
    await first.close();
    // As if the connection had broken in the middle of the large record, after a segment and a half of it.
    const at = Number(before) + 1_500_000;
    cutAt(first.timeline.dir.wal, at);
    const storage = await local.serve();
    try {
      const cut = new WalEnd(storage.timeline.dir.wal, megabyte, storage.timeline.base.startLsn);
      expect(formatLsn(cut.find() ?? (0n as Lsn))).toBe(formatLsn(before));
      const next = await local.startCompute();
      await next.query('insert into t values (2)');
      const [row] = await next.query(flushed);
      await expect.poll(() => formatLsn(cut.find() ?? (0n as Lsn))).toBe(row?.['lsn']);
      const fresh = new WalEnd(storage.timeline.dir.wal, megabyte, storage.timeline.base.startLsn);
      expect(fresh.find()).toBe(cut.find());
      await next.kill('SIGKILL');
      const last = await local.startCompute();
      expect(await last.query('select array_agg(n order by n) as n from t')).toEqual([{ n: [1, 2] }]);
    } finally {
      await storage.close();
    }
  });
});

test('whatever is damaged, the end is never beyond the damage, and reading does not fail', async () => {
  await withStorage(async ({ local, storage }) => {
    const compute = await local.startCompute();
    await compute.query('create table t (n int, pad text)');
    await compute.query(`insert into t select n, repeat('x', 300) from generate_series(1, 4000) n`);
    await compute.kill('SIGINT');
    await storage.timeline.receiver.stop();
    const { startLsn } = storage.timeline.base;
    const end = storage.timeline.end();
    const records = waldump(local, storage.timeline.dir.wal, startLsn);
    const copy = scratchDir('wal');
    try {
      fc.assert(
        fc.property(
          fc.integer({ min: Number(startLsn), max: Number(end) - 1 }),
          fc.integer({ min: 1, max: 255 }),
          (at, flip) => {
            cpSync(storage.timeline.dir.wal, copy, { recursive: true });
            flipByte(copy, at, flip);
            const found = new WalEnd(copy, megabyte, startLsn).find() ?? startLsn;
            // A byte of padding or of a page header that nobody checks may change nothing.
            expect(found === end || records.has(found)).toBe(true);
            expect(found === end || Number(found) <= at).toBe(true);
          },
        ),
        { numRuns: 60 },
      );
    } finally {
      rmSync(copy, { recursive: true });
    }
  });
});

/** Zeros from `at` on; segments behind it are removed, the one with it becomes the partial one. */
function cutAt(dir: string, at: number): void {
  const last = Math.floor(at / megabyte);
  for (const name of readdirSync(dir)) {
    const number = Number.parseInt(name.slice(16, 24), 16);
    if (number > last) rmSync(join(dir, name));
    if (number !== last) continue;
    const path = join(dir, name);
    truncateSync(path, at % megabyte);
    truncateSync(path, megabyte);
    if (!name.endsWith('.partial')) execFileSync('mv', [path, `${path}.partial`]);
  }
}

function flipByte(dir: string, at: number, flip: number): void {
  const number = Math.floor(at / megabyte);
  const name = readdirSync(dir).find((file) => Number.parseInt(file.slice(16, 24), 16) === number);
  const path = join(dir, name ?? 'no such segment');
  const old = readFileSync(path)[at % megabyte] as number;
  const fd = openSync(path, 'r+');
  writeSync(fd, Buffer.from([old ^ flip]), 0, 1, at % megabyte);
  closeSync(fd);
}

/** Where pg_waldump says that records begin. */
function waldump({ tools }: LocalFixture, dir: string, start: Lsn): Set<bigint> {
  const copy = scratchDir('waldump');
  try {
    for (const name of readdirSync(dir)) cpSync(join(dir, name), join(copy, name.replace('.partial', '')));
    const args = ['-p', copy, '-s', formatLsn(start), '-e', 'FFFFFFFF/0', '-t', '1'];
    let out = '';
    try {
      out = execFileSync(tools.postgres.sibling('pg_waldump'), args, {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
        maxBuffer: 1 << 28,
      });
    } catch (error) {
      // It ends with an error where the WAL ends.
      out = (error as { stdout: string }).stdout;
    }
    return new Set(
      [...out.matchAll(/lsn: ([0-9A-F]+\/[0-9A-F]+)/g)].map(([, lsn]) => parseLsn(lsn ?? '') as bigint),
    );
  } finally {
    rmSync(copy, { recursive: true });
  }
}
