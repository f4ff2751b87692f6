import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Lsn, formatLsn } from '../../../src/core/lsn.ts';
import { segmentName } from '../../../src/local/storage/segments.ts';
import { WalEnd } from '../../../src/local/storage/wal-end.ts';
import { psqlBasebackup, startToken, withStorage } from './fixture.ts';

test('whoever reads the token of the storage in the compute cannot fence it', async () => {
  await withStorage(async ({ local, storage }) => {
    const compute = await local.startCompute();
    const { generation } = storage.timeline;
    const { state } = local;
    for (const token of [state.storageToken, `${state.storageToken}.`, `${state.storageToken}.guess`]) {
      const { code, err } = await psqlBasebackup(state, '--gzip', 'primary', token);
      expect(code).not.toBe(0);
      expect(err).toContain('JWT authentication error: this token does not allow to start a primary');
    }
    expect(storage.timeline.generation).toBe(generation);
    await compute.query('create table still (n int)');
  });
});

test('the token of a start allows one base backup for a primary, and is then only good for reading', async () => {
  await withStorage(async ({ local, storage }) => {
    const { state } = local;
    const [former, token] = [await startToken(state), await startToken(state)];
    expect((await psqlBasebackup(state, '--gzip', 'primary', former)).err).toContain('does not allow');
    const before = storage.timeline.generation;
    expect((await psqlBasebackup(state, '--gzip', 'primary', token)).code).toBe(0);
    expect(storage.timeline.generation).toBe(before + 1);
    expect((await psqlBasebackup(state, '--gzip', 'primary', token)).err).toContain('does not allow');
    expect(storage.timeline.generation).toBe(before + 1);
    expect((await psqlBasebackup(state, '--gzip', 'replica', token)).code).toBe(0);
    expect((await psqlBasebackup(state, '--gzip', 'replica', 'another.token')).err).toContain('JWT');
  });
});

test('WAL files with names far ahead are not searched through', async () => {
  await withStorage(async ({ local, storage }) => {
    const compute = await local.startCompute();
    const { base, dir } = storage.timeline;
    await compute.query('create table t (n int); insert into t select generate_series(1, 100000)');
    for (const number of [1 << 20, 1 << 30, 2 ** 40]) {
      const path = join(dir.wal, segmentName(number, base.walSegmentBytes));
      writeFileSync(path, '');
      truncateSync(path, base.walSegmentBytes);
    }
    await expect
      .poll(async () => {
        const [row] = await compute.query('select pg_current_wal_flush_lsn()::text as lsn');
        const fresh = new WalEnd(dir.wal, base.walSegmentBytes, base.startLsn).find();
        return [storage.timeline.end(), fresh ?? 0n].map((end) => formatLsn(end as Lsn) === row?.['lsn']);
      })
      .toEqual([true, true]);
  });
});

test('a record of hundreds of megabytes, which any role can write, is checked without being kept', async () => {
  await withStorage(async ({ local, storage }) => {
    const compute = await local.startCompute();
    await compute.query(`select pg_logical_emit_message(false, 'x', repeat('a', 200000000))`);
    await expect.poll(() => storage.timeline.receiver.attached !== null).toBe(true);
    const { base, dir } = storage.timeline;
    await compute.query('create table after_it ()');
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    await expect
      .poll(async () => {
        const [row] = await compute.query('select pg_current_wal_flush_lsn()::text as lsn');
        const found = new WalEnd(dir.wal, base.walSegmentBytes, base.startLsn).find();
        most = Math.max(most, process.memoryUsage().arrayBuffers - before);
        return formatLsn(found ?? (0n as Lsn)) === row?.['lsn'];
      })
      .toBe(true);
    expect(most).toBeLessThan(150_000_000);
  });
});
