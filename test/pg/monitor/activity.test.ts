import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ActivityRow } from '../../../src/monitor/activity-query.ts';
import { ActivityConnection } from '../../../src/monitor/checks.ts';
import { type Cluster, scratchDir, startCluster } from '../../support/cluster.ts';
import { installedPostgres } from '../../support/postgres-versions.ts';
import { checked, figure, never, pause, run, seen, session, watched } from './support.ts';

let cluster: Cluster;
beforeAll(async () => {
  const slowVacuum = 'autovacuum_naptime=1s\nautovacuum_vacuum_cost_delay=20\nautovacuum_vacuum_cost_limit=1';
  cluster = await startCluster({ conf: `wal_level=logical\nautovacuum=off\n${slowVacuum}` });
  await run(cluster.target, 'create role client login', 'create database shop owner client');
});
afterAll(() => cluster.stop());

const client = (database = 'postgres') => ({ ...cluster.target, user: 'client', database });
const limits = { connectMs: 5000, queryMs: 5000 };

async function look(statistics = false, target = cluster.target): Promise<ActivityRow> {
  const connection = new ActivityConnection(target, limits);
  try {
    return await connection.look(statistics, never);
  } finally {
    connection.close();
  }
}

test.each(installedPostgres())(
  'PostgreSQL $major answers with one row, with and without statistics',
  async (postgres) => {
    const one = await startCluster({ postgres });
    try {
      const quiet = { busy: 0, idle_since_ms: null, walsenders: 0, subscriptions: 0, own_sessions: 0 };
      expect(await look(false, one.target)).toMatchObject({ ...quiet, sessions: null, active_ms: null });
      expect(await look(true, one.target)).toMatchObject({ ...quiet, sessions: 0, active_ms: 0 });
      await run(one.target, 'create database shop', 'create role client login');
      await session({ ...one.target, user: 'client', database: 'shop' }, async (pg) => {
        await pg.query('select 1');
        const row = await look(true, one.target);
        expect(row.idle_since_ms).toBeGreaterThan(row.now_ms - 5000);
      });
    } finally {
      await one.stop();
    }
  },
);

test('an idle session was active when its state changed; a busy one, or one in a transaction, is now', () =>
  session(client(), async (pg) => {
    await pg.query('select 1');
    const idle = await look();
    expect(idle.busy).toBe(0);
    expect(Math.abs((idle.idle_since_ms ?? 0) - Date.now())).toBeLessThan(10_000);
    await pg.query('begin');
    expect((await look()).busy).toBe(1);
    await pg.query('rollback');
    const slow = pg.query('select pg_sleep(1)');
    await seen('the session at work', async () => (await look()).busy === 1);
    await slow;
  }));

test.each(['America/New_York', 'Asia/Tokyo', 'Pacific/Kiritimati'])(
  'the times are right in time zone %s, of the server, the database and the role',
  async (zone) => {
    await run(
      cluster.target,
      `alter system set timezone = '${zone}'`,
      'select pg_reload_conf()',
      `alter database postgres set timezone = '${zone}'`,
      `alter role cloud_admin set timezone = '${zone}'`,
    );
    await seen('the time zone', () =>
      session(cluster.target, async (pg) => {
        return (await pg.query('show timezone')).rows[0]?.['TimeZone'] === zone;
      }),
    );
    await session(client(), async (pg) => {
      await pg.query('select 1');
      const row = await look();
      const off = Math.abs(Date.now() - (row.idle_since_ms ?? 0));
      figure(`error of an idle session's time in ${zone}, ms`, off);
      expect(off).toBeLessThan(10_000);
      expect(Math.abs(Date.now() - row.now_ms)).toBeLessThan(10_000);
    });
  },
);

test('with track_activities off a connected client does not keep the compute awake, one in a transaction does', async () => {
  await run(cluster.target, 'alter role client set track_activities = off');
  try {
    await session(client(), async (pg) => {
      await pg.query('select 1');
      const idle = await look();
      expect(idle.busy).toBe(0);
      expect(idle.idle_since_ms).not.toBeNull();
      // Idle time that goes by changes nothing.
      await pause(200);
      expect((await look()).idle_since_ms).toBe(idle.idle_since_ms);
      await pg.query('begin');
      expect((await look()).busy).toBe(1);
      await pg.query('rollback');
      expect((await look()).busy).toBe(0);
    });
  } finally {
    await run(cluster.target, 'alter role client reset track_activities');
  }
});

test('sessions of compute_ctl under any role, and of the admin, are nobody who uses the compute', () =>
  session(
    client('shop'),
    (ours) =>
      session({ ...cluster.target, database: 'shop' }, async (admin) => {
        await ours.query('begin');
        await admin.query('begin');
        expect(await look()).toMatchObject({ busy: 0, idle_since_ms: null, own_sessions: 2 });
      }),
    'compute_ctl:apply_config',
  ));

test('a replica, a running subscription and an autovacuum worker are activity; the link of the storage is none', async () => {
  await run(
    { ...cluster.target, database: 'shop' },
    'create table t as select generate_series(1, 3000) n',
    'create publication p for table t',
    "select pg_create_logical_replication_slot('sub', 'pgoutput')",
  );
  await run(
    cluster.target,
    'create table t (n int)',
    // Without a copy: its slot waits for the end of every transaction on this server, also of the one that drops it.
    `create subscription sub connection 'host=127.0.0.1 port=${cluster.port} user=cloud_admin dbname=shop' publication p with (create_slot = false, copy_data = false)`,
  );
  try {
    await seen('the subscription', async () => {
      const { subscriptions, walsenders } = await look();
      return subscriptions > 0 && walsenders > 0;
    });
  } finally {
    await run(cluster.target, 'drop subscription sub');
  }
  await seen('the end of it', async () => {
    const { subscriptions, walsenders } = await look();
    return subscriptions === 0 && walsenders === 0;
  });
  await run({ ...cluster.target, database: 'shop' }, 'drop publication p', 'delete from t');
  const autovacuum = (value: 'on' | 'off') =>
    run(cluster.target, `alter system set autovacuum = ${value}`, 'select pg_reload_conf()');
  try {
    await autovacuum('on');
    await seen('autovacuum', async () => (await look()).autovacuum > 0, 20_000);
  } finally {
    await autovacuum('off');
    await run(
      cluster.target,
      "select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'autovacuum worker'",
    );
  }
});

test('the receiver of the embedded storage is not activity, one of somebody else is', async () => {
  const receive = (dir: string, name: string) =>
    spawn(
      join(cluster.postgres.bindir, 'pg_receivewal'),
      ['-D', dir, '-d', `host=127.0.0.1 port=${cluster.port} user=cloud_admin application_name=${name}`],
      { stdio: ['ignore', 'ignore', 'inherit'], cwd: '/' },
    );
  const senders = () =>
    session(cluster.target, async (pg) => {
      const { rows } = await pg.query<{ n: number }>('select count(*)::int n from pg_stat_replication');
      return rows[0]?.n ?? 0;
    });
  for (const [name, counted] of [
    ['compute_local', 0],
    ['walproposer', 0],
    ['replica', 1],
  ] as const) {
    const dir = scratchDir('receive');
    const child = receive(dir, name);
    try {
      await seen('the receiver', async () => (await senders()) === 1);
      expect([name, (await look()).walsenders]).toEqual([name, counted]);
    } finally {
      child.kill('SIGKILL');
      await once(child, 'exit');
      rmSync(dir, { recursive: true, force: true });
    }
    await seen('its end', async () => (await senders()) === 0);
  }
});

test('the statistics show a short session that came and went between two looks, and not those of compute_ctl', () =>
  watched(cluster.target, { useStatistics: () => true }, async ({ monitor, metrics }) => {
    const kind = () => monitor.lastActivity?.kind ?? null;
    const at = () => monitor.lastActivity?.at.getTime() ?? 0;
    const sessions = () =>
      session(cluster.target, async (pg) => {
        const sql = "select sessions::int n from pg_stat_database where datname = 'shop'";
        return (await pg.query<{ n: number }>(sql)).rows[0]?.n ?? 0;
      });
    await checked(metrics);
    const [before, sessionsBefore] = [at(), await sessions()];
    const admin = { ...cluster.target, database: 'shop' };
    const count = 'select count(*) from generate_series(1, 300000)';
    await session(admin, (pg) => pg.query(count), 'compute_ctl:apply_config');
    await seen('it in the statistics', async () => (await sessions()) > sessionsBefore);
    await checked(metrics);
    expect(at()).toBe(before);
    // Not by this process, so that it is not taken for one of ours; as the admin, so that only the statistics tell.
    const script = `const { Client } = require('pg');
      const c = new Client({ host: '127.0.0.1', port: ${cluster.port}, user: 'cloud_admin', database: 'shop' });
      c.connect().then(() => c.query('select 1')).then(() => c.end());`;
    const child = spawn(process.execPath, ['-e', script], { stdio: 'inherit' });
    await once(child, 'exit');
    await seen('activity', () => at() > before && kind() === 'statistics');
  }));

test('last_active follows the latest activity and stays when the client is gone', () =>
  watched(cluster.target, {}, async ({ monitor, metrics }) => {
    await run(client(), 'select 1');
    await session(client(), async (pg) => {
      await pg.query('select pg_sleep(0.3)');
      await seen('activity', () => monitor.lastActivity !== null);
    });
    const last = monitor.lastActivity?.at.getTime() ?? 0;
    expect(Math.abs(Date.now() - last)).toBeLessThan(5000);
    await checked(metrics, 4);
    const later = monitor.lastActivity?.at.getTime() ?? 0;
    expect(later).toBeGreaterThanOrEqual(last);
    await checked(metrics, 4);
    expect(monitor.lastActivity?.at.getTime()).toBe(later);
    expect(monitor.postgresReport()).toMatchObject({ up: true, last_activity: 'session' });
  }));
