import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { sqlState } from '../../../src/pg/client.ts';
import { monitorTimes } from '../../../src/monitor/options.ts';
import { type Cluster, startCluster } from '../../support/cluster.ts';
import { brisk, checked, figure, keptPid, pause, proxy, run, seen, session, watched } from './support.ts';

let cluster: Cluster;
beforeEach(async () => {
  cluster = await startCluster({ conf: 'max_connections=12' });
});
afterEach(() => cluster.stop());

const now = (): number => performance.now();

test(
  'a stopped postmaster is down, although old connections still answer, and up again when it continues',
  () =>
    watched(cluster.target, { times: monitorTimes }, async ({ monitor, metrics, value }) => {
      await checked(metrics, 1);
      expect(monitor.up).toBe(true);
      const stoppedAt = now();
      try {
        await session(cluster.target, async (pg) => {
          cluster.postmaster.kill('SIGSTOP');
          expect((await pg.query('select 1 one')).rows).toEqual([{ one: 1 }]);
        });
        await seen('down', () => !monitor.up, 5000);
        figure('SIGSTOP of the postmaster to not ready, ms', now() - stoppedAt);
        const first = await value('compute_pg_current_downtime_ms');
        await seen('rising', async () => (await value('compute_pg_current_downtime_ms')) > first + 300, 6000);
        figure(
          'downtime shown while the next check hangs, ms',
          await value('compute_pg_current_downtime_ms'),
        );
        expect(monitor.postgresReport()).toMatchObject({ up: false, reason: 'connect_timeout' });
      } finally {
        cluster.postmaster.kill('SIGCONT');
      }
      const continuedAt = now();
      await seen('up', async () => (await value('compute_pg_current_downtime_ms')) === 0, 2000);
      figure('SIGCONT to downtime 0, ms', now() - continuedAt);
      const total = await value('compute_pg_downtime_ms_total');
      figure('total downtime, ms', total);
      const [incident, ...others] = monitor.downtimeReport().incidents;
      expect(others).toEqual([]);
      expect(incident).toMatchObject({ reason: 'connect_timeout', last_reason: 'connect_timeout' });
      expect(incident?.ended_at).not.toBeNull();
      expect(incident?.duration_ms).toBe(total);
      expect(total).toBeGreaterThan(continuedAt - stoppedAt - 50);
    }),
  30_000,
);

test('a kept connection whose backend is stopped is given up and replaced', () =>
  watched(cluster.target, {}, async ({ monitor, metrics, value }) => {
    await checked(metrics);
    const pid = await keptPid(cluster);
    process.kill(pid, 'SIGSTOP');
    try {
      await seen('down', () => !monitor.up);
      // New connections never failed.
      expect(monitor.postgresReport().reason).toBe('query_timeout');
      await seen('up', () => monitor.up);
      expect(await keptPid(cluster)).not.toBe(pid);
      figure('downtime by a stopped backend of ours, ms', await value('compute_pg_downtime_ms_total'));
    } finally {
      process.kill(pid, 'SIGCONT');
    }
  }));

test('a stopped backend of somebody else is not downtime', () =>
  watched(cluster.target, {}, ({ monitor, metrics, value }) =>
    session(cluster.target, async (pg) => {
      const { rows } = await pg.query('select pg_backend_pid() pid');
      const pid = Number((rows[0] as { pid: number }).pid);
      process.kill(pid, 'SIGSTOP');
      try {
        await checked(metrics, 8);
        expect([monitor.up, await value('compute_pg_downtime_ms_total')]).toEqual([true, 0]);
      } finally {
        process.kill(pid, 'SIGCONT');
      }
    }),
  ));

test('a killed postmaster has exited, which is the reason of a downtime that does not end', () =>
  watched(
    cluster.target,
    { isRunning: () => cluster.postmaster.signalCode === null },
    async ({ monitor, metrics, value }) => {
      await checked(metrics);
      const killedAt = now();
      cluster.postmaster.kill('SIGKILL');
      await seen('down', () => !monitor.up);
      figure('SIGKILL of the postmaster to not ready, ms', now() - killedAt);
      expect(monitor.postgresReport()).toMatchObject({ up: false, reason: 'postgres_exited' });
      monitor.postgresExited();
      await monitor.stop();
      const before = await value('compute_pg_current_downtime_ms');
      await seen('growth', async () => (await value('compute_pg_current_downtime_ms')) > before);
      expect(await metrics.render()).toContain(
        'compute_pg_downtime_incidents_total{reason="postgres_exited",sqlstate=""} 1\n',
      );
    },
  ));

test('the monitored database may be dropped and created again', () =>
  watched(cluster.target, {}, async ({ monitor, metrics, value, lines }) => {
    const elsewhere = { ...cluster.target, database: 'template1' };
    await checked(metrics);
    await run(elsewhere, 'drop database postgres with (force)');
    await seen('unknown database', () => monitor.postgresReport().sqlstate === '3D000');
    await seen('current', async () => (await value('compute_pg_current_downtime_ms')) > 0);
    await run(elsewhere, 'create database postgres');
    await seen('up', async () => (await value('compute_pg_current_downtime_ms')) === 0);
    const total = await value('compute_pg_downtime_ms_total');
    expect(total).toBeGreaterThan(0);
    figure('downtime without the database, ms', total);
    const told = lines.filter((line) => line.includes('downtime_info'));
    expect(told[0]).toMatch(/"downtime_info":"total_ms: [1-9]\d*, current_ms: [1-9]\d*, last_up: 20\S+Z"/);
    expect(told.at(-1)).toContain('answers again');
  }));

// No check may time out here: the reason would be another.
const patient = { ...brisk, connectMs: 10_000, queryMs: 10_000 };

test.for(['after', 'before'])(
  'when no connection is left Postgres is full, which is said and is not downtime: %s the monitor has its own',
  async (when) => {
    let letGo = (): void => {};
    let isOver = false;
    const held = new Promise<void>((resolve) => (letGo = resolve)).then(() => void (isOver = true));
    const taken: Promise<void>[] = [];
    // Whatever is free for a moment, such as a connection of the monitor that ends, is taken, too.
    const hold = async (): Promise<void> => {
      while (!isOver) await session(cluster.target, () => held).catch(() => pause(10));
    };
    const fill = async (): Promise<void> => {
      for (let each = 0; each < 14; each++) taken.push(hold());
      const refusal = () =>
        session(cluster.target, async () => {}).then(
          () => null,
          (error: unknown) => sqlState(error),
        );
      await seen('the refusal', async () => (await refusal()) === '53300');
    };
    if (when === 'before') await fill();
    try {
      await watched(cluster.target, { times: patient }, async ({ monitor, metrics, value, lines }) => {
        if (when === 'after') {
          await checked(metrics);
          await fill();
        }
        await seen('full', () => monitor.full);
        expect(await value('compute_pg_full')).toBe(1);
        expect(monitor.postgresReport()).toMatchObject({ up: true, full: true, reason: null });
        letGo();
        await seen('room', () => !monitor.full);
        expect(await value('compute_pg_full')).toBe(0);
        expect(monitor.downtimeReport()).toEqual({
          current_downtime_ms: 0,
          total_downtime_ms: 0,
          incidents: [],
        });
        expect(lines.filter((line) => line.includes('free connection')).length).toBeGreaterThanOrEqual(2);
      });
    } finally {
      letGo();
      await Promise.all(taken);
    }
  },
);

test('a listener that accepts and never answers is down, and so is a port without one', async () => {
  const mute = await proxy(null);
  try {
    await watched({ ...cluster.target, port: mute.port }, {}, async ({ monitor }) => {
      await seen('down', () => monitor.postgresReport().reason === 'connect_timeout');
      await mute.stop();
      await seen('refused', () => monitor.postgresReport().reason === 'connect_refused');
      expect(monitor.downtimeReport().incidents).toHaveLength(1);
    });
  } finally {
    await mute.stop().catch(() => {});
  }
});

test('a connection that is half open, after a cable was cut, is noticed on both kinds of check', async () => {
  const between = await proxy(cluster.port);
  try {
    await watched({ ...cluster.target, port: between.port }, {}, async ({ monitor, metrics }) => {
      await checked(metrics);
      expect(monitor.up).toBe(true);
      between.silent = true;
      const reasons = new Set<string | null>();
      await seen('both', () => {
        reasons.add(monitor.postgresReport().reason);
        return reasons.has('query_timeout') && reasons.has('connect_timeout');
      });
      between.silent = false;
      await seen('up', () => monitor.up);
      const text = await metrics.render();
      expect(text).toMatch(/compute_pg_downtime_incidents_total\{reason="\w+",sqlstate=""\} 1\n/);
      expect(text).toMatch(/compute_pg_check_duration_seconds_bucket\{check="connect",le="\+Inf"\} [1-9]/);
    });
  } finally {
    await between.stop();
  }
});

test('stepping the clock back and forth changes no downtime and never moves the last activity back', () =>
  watched(cluster.target, {}, async ({ monitor, value }) => {
    const user = { ...cluster.target, user: 'somebody' };
    await run(cluster.target, 'create role somebody login');
    vi.useFakeTimers({ toFake: ['Date'] });
    try {
      const day = 86_400_000;
      const real = Date.now();
      await run(user, 'select 1');
      const totals: number[] = [];
      const active: number[] = [];
      cluster.postmaster.kill('SIGSTOP');
      const startMs = now();
      for (const step of [day, -day, 365 * day, -365 * day, 0]) {
        vi.setSystemTime(real + step);
        // Downtime that goes by while the clock stands there.
        await pause(300);
        totals.push(await value('compute_pg_downtime_ms_total'));
        active.push(monitor.lastActivity?.at.getTime() ?? 0);
      }
      await seen('down', () => !monitor.up);
      cluster.postmaster.kill('SIGCONT');
      await seen('up', () => monitor.up);
      const elapsed = now() - startMs;
      totals.push(await value('compute_pg_downtime_ms_total'));
      expect(totals).toEqual(totals.toSorted((a, b) => a - b));
      expect(totals.at(-1)).toBeGreaterThan(1000);
      expect(totals.at(-1)).toBeLessThan(elapsed + 1000);
      expect(active).toEqual(active.toSorted((a, b) => a - b));
      figure('downtime while the clock was stepped by a year, ms', totals.at(-1) ?? -1);
    } finally {
      vi.useRealTimers();
      cluster.postmaster.kill('SIGCONT');
    }
  }));

test('a monitor that is stopped while Postgres is down leaves no current downtime and is quiet', () =>
  watched(cluster.target, {}, async ({ monitor, metrics, value, lines }) => {
    await checked(metrics);
    cluster.postmaster.kill('SIGSTOP');
    await seen('down', () => !monitor.up);
    await monitor.stop();
    cluster.postmaster.kill('SIGCONT');
    const total = await value('compute_pg_downtime_ms_total');
    expect(total).toBeGreaterThan(0);
    const told = lines.length;
    // Time in which a check that is not stopped would be made and told.
    await pause(500);
    expect(await value('compute_pg_current_downtime_ms')).toBe(0);
    expect(await value('compute_pg_downtime_ms_total')).toBe(total);
    expect(lines).toHaveLength(told);
    // One that waited in the backlog begins after the thaw, finds nobody there and ends.
    await session(cluster.target, (pg) =>
      seen('no connection of the monitor', async () => {
        const sql = "select 1 from pg_stat_activity where application_name like 'compute_ctl:%'";
        return (await pg.query(sql)).rows.length === 0;
      }),
    );
  }));
