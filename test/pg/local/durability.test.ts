import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { listSegments } from '../../../src/local/storage/segments.ts';
import type { Trouble } from '../../../src/local/storage/troubles.ts';
import { startCluster } from '../../support/cluster.ts';
import { eventually } from '../../support/program.ts';
import { fetchArchive, localFixture, withStorage } from './fixture.ts';

const look = `select array_agg(n order by n) as n, (select timeline_id from pg_control_checkpoint()) as timeline from t`;

const waiting = `select count(*)::int as n from pg_stat_activity where wait_event = 'SyncRep'`;

test('what was committed before a kill -9 is there after the next start, on the same timeline', async () => {
  await withStorage(async ({ local }) => {
    let compute = await local.startCompute();
    await compute.query('create table t (n int)');
    for (let cycle = 1; cycle <= 3; cycle++) {
      await compute.query(`insert into t values (${cycle})`);
      await compute.kill(cycle === 2 ? 'SIGINT' : 'SIGKILL');
      compute = await local.startCompute();
      const all = Array.from({ length: cycle }, (_, at) => at + 1);
      expect(await compute.query(look)).toEqual([{ n: all, timeline: 1 }]);
    }
    await compute.kill('SIGINT');
  });
});

test('a commit waits while the storage is away and succeeds when it is back', async () => {
  const local = await localFixture();
  let storage = await local.serve();
  try {
    const compute = await local.startCompute();
    await compute.query('create table t (n int)');
    await storage.close();
    let done = false;
    const insert = compute.query('insert into t values (1)').then(() => (done = true));
    await expect.poll(() => compute.query(waiting)).toEqual([{ n: 1 }]);
    expect(done).toBe(false);
    storage = await local.serve();
    await insert;
    await compute.kill('SIGKILL');
    const next = await local.startCompute();
    expect(await next.query(look)).toEqual([{ n: [1], timeline: 1 }]);
  } finally {
    await storage.close();
    local.remove();
  }
});

test('WAL that the storage missed is kept for it, however much it is', async () => {
  const local = await localFixture();
  let storage = await local.serve();
  try {
    const compute = await local.startCompute();
    await compute.query('create table t (n int)');
    await storage.close();
    await compute.query(`set synchronous_commit = local; insert into t select generate_series(1, 400000)`);
    for (let at = 0; at < 3; at++) await compute.query('checkpoint');
    storage = await local.serve();
    await compute.query('create table last ()');
    await compute.kill('SIGKILL');
    const next = await local.startCompute();
    expect(await next.query('select count(*)::int as n from t')).toEqual([{ n: 400_000 }]);
  } finally {
    await storage.close();
    local.remove();
  }
});

test('a second compute shuts the first one out, which can commit nothing any more', async () => {
  await withStorage(async ({ local, storage }) => {
    const old = await local.startCompute('old');
    await old.query('create table t (n int)');
    await old.query('insert into t values (1)');
    const before = storage.timeline.generation;
    // Somebody else is given the data: from now on `old` must not write, although it runs and can be reached.
    await fetchArchive(local);
    expect(storage.timeline.generation).toBe(before + 1);
    let acknowledged = false;
    void old.query('insert into t values (2)').then(
      () => (acknowledged = true),
      () => {},
    );
    await expect.poll(() => old.query(waiting)).toEqual([{ n: 1 }]);
    await expect.poll(() => local.log()).toContain('the compute is fenced');
    expect(acknowledged).toBe(false);
    expect(storage.timeline.receiver.attached).toBeNull();
    await old.kill('SIGKILL');
    const next = await local.startCompute('next');
    expect(await next.query(look)).toEqual([{ n: [1], timeline: 1 }]);
  });
});

test('a copy for a replica or for a person takes nothing away from the running compute', async () => {
  await withStorage(async ({ local, storage }) => {
    const compute = await local.startCompute();
    const attached = storage.timeline.receiver.attached;
    await fetchArchive(local, '--gzip --replica');
    await fetchArchive(local, '--gzip', 'static');
    await compute.query('create table t (n int)');
    expect(storage.timeline.receiver.attached).toBe(attached);
  });
});

test('a server that was not made from the storage is not received from', async () => {
  await withStorage(async ({ local, storage }) => {
    await local.startCompute('copy', 'static');
    await expect.poll(() => local.log()).toContain('its base backup is not from this storage');
    expect(storage.timeline.receiver.attached).toBeNull();
  });
});

test('another database system at the socket is refused', async () => {
  await withStorage(async ({ local, storage }) => {
    const conf = `port=${local.state.ports.postgres}\nunix_socket_directories='${local.dir.run}'\n`;
    const cluster = await startCluster({ conf });
    try {
      await expect.poll(() => local.log()).toContain('is another database system');
      expect(storage.timeline.receiver.attached).toBeNull();
    } finally {
      await cluster.stop();
    }
  });
});

test('WAL that was damaged on disk is not overwritten by a compute that could not read it', async () => {
  await withStorage(async ({ local, storage }) => {
    const compute = await local.startCompute();
    await compute.query('create table t (n int, pad text)');
    await compute.query(`insert into t select n, repeat('x', 100) from generate_series(1, 30000) n`);
    await compute.kill('SIGKILL');
    await storage.timeline.receiver.stop();
    const [first, second] = listSegments(
      storage.timeline.dir.wal,
      storage.timeline.base.walSegmentBytes,
    ).slice(1);
    expect(second?.partial).toBe(false);
    const content = readFileSync(first?.path ?? '');
    writeFileSync(first?.path ?? '', content.fill(0, 300_000, 310_000));
    await local.startCompute('short', 'unattached');
    await expect.poll(() => local.log()).toContain('which must not be overwritten');
    expect(storage.timeline.receiver.attached).toBeNull();
  });
});

test('WAL that the compute has removed before the storage had it is said, and a restart keeps every acknowledged commit', async () => {
  const local = await localFixture();
  let storage = await local.serve();
  try {
    const compute = await local.startCompute();
    await compute.query('create table t (n int)');
    await compute.query('insert into t values (1)');
    await storage.close();
    // As when somebody drops the slot that keeps it.
    await compute.query(`alter system set wal_keep_size = 0`);
    await compute.query('select pg_reload_conf()');
    await compute.query(`select pg_drop_replication_slot('compute_local')`);
    for (let at = 0; at < 4; at++) {
      await compute.query('set synchronous_commit = local; insert into t values (2)');
      await compute.query('select pg_switch_wal()');
    }
    for (let at = 0; at < 2; at++) await compute.query('checkpoint');
    storage = await local.serve();
    const trouble = (): Trouble | undefined =>
      storage.troubles.list().find(({ part }) => part === 'receiver');
    await eventually('the trouble', () => (trouble()?.kind === 'wal_removed' ? true : undefined));
    expect(trouble()).toMatchObject({
      reason: expect.stringContaining('has already been removed') as string,
      act: expect.stringContaining('Every acknowledged commit is kept') as string,
    });
    await eventually('several attempts', () => ((trouble()?.failures ?? 0) > 5 ? true : undefined));
    expect(local.log().match(/does not receive WAL/g)).toHaveLength(1);
    await compute.kill('SIGKILL');
    const next = await local.startCompute();
    expect(await next.query('select n from t')).toEqual([{ n: 1 }]);
    await eventually('the end of the trouble', () => (trouble() === undefined ? true : undefined));
  } finally {
    await storage.close();
    local.remove();
  }
});
