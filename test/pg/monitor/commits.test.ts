import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { scratchDir, startCluster } from '../../support/cluster.ts';
import { defaultPostgres, oldestAndNewest } from '../../support/postgres-versions.ts';
import { run, seen, session, watched } from './support.ts';

const required = "synchronous_standby_names='storage'\n";
const said = (lines: readonly string[], words: string): number =>
  lines.filter((line) => line.includes(words)).length;

test.concurrent.each(oldestAndNewest())(
  'commits that no standby acknowledges are noticed also when nobody writes, and whoever gives up does not hide it, PostgreSQL $major',
  async (postgres) => {
    const cluster = await startCluster({ postgres, conf: required });
    try {
      await watched(cluster.target, {}, async ({ monitor, lines, value }) => {
        await seen('that commits do not return', () => monitor.stuckCommits !== null);
        expect(monitor.stuckCommits).toMatchObject({ reason: 'not_connected' });
        expect(await value('compute_pg_commits_stuck_ms')).toBeGreaterThan(4000);
        expect(monitor.up).toBe(true);
        await session(cluster.target, async (pg) => {
          const given = pg.query('create table t ()').catch(() => {});
          await seen('the commit that waits', () => (monitor.stuckCommits?.waiting ?? 0) > 1);
          await run(
            cluster.target,
            `select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'`,
          );
          await given;
        });
        // Our own commit was canceled as well, and another one waits.
        await seen('the next one', () => monitor.stuckCommits?.waiting === 1);
        expect(said(lines, 'commits do not return')).toBe(1);
        await run(cluster.target, 'alter system reset synchronous_standby_names');
        await run(
          cluster.target,
          `alter system set synchronous_standby_names = ''`,
          'select pg_reload_conf()',
        );
        await seen('that commits return', () => monitor.stuckCommits === null);
        await seen('the line', () => said(lines, 'commits return again, after') === 1);
        expect(await value('compute_pg_commits_stuck_ms')).toBe(0);
      });
    } finally {
      await cluster.stop();
    }
  },
);

test('a standby that is connected but does not acknowledge is told apart from one that is not connected', async () => {
  const postgres = defaultPostgres();
  const cluster = await startCluster({ postgres, conf: required });
  const dir = scratchDir('received');
  const receiver = spawn(
    join(postgres.bindir, 'pg_receivewal'),
    [
      '-d',
      `host=127.0.0.1 port=${cluster.port} user=cloud_admin application_name=storage`,
      '-D',
      dir,
      '--synchronous',
    ],
    { stdio: 'ignore' },
  );
  try {
    await run(cluster.target, 'create table t (n int)');
    await watched(cluster.target, {}, async ({ monitor, lines }) => {
      receiver.kill('SIGSTOP');
      const commit = run(cluster.target, 'insert into t values (1)');
      await seen('that commits do not return', () => monitor.stuckCommits !== null);
      expect(monitor.stuckCommits).toMatchObject({ reason: 'no_answer' });
      expect(said(lines, 'the synchronous standby does not acknowledge them')).toBe(1);
      receiver.kill('SIGCONT');
      await commit;
      await seen('that commits return', () => monitor.stuckCommits === null);
      // Of all that waited nothing is left behind.
      await seen('the end of our own session', async () => {
        let left = -1;
        await session(cluster.target, async (pg) => {
          const { rows } = await pg.query<{ n: number }>(
            `select count(*)::int as n from pg_stat_activity where application_name = 'compute_ctl:commit_probe'`,
          );
          left = rows[0]?.n ?? -1;
        });
        return left === 0;
      });
    });
  } finally {
    receiver.kill('SIGKILL');
    await once(receiver, 'close');
    await cluster.stop();
    rmSync(dir, { recursive: true, force: true });
  }
});

test('sessions that do not wait for a standby are not stuck, although none is connected', async () => {
  const cluster = await startCluster({ conf: `${required}synchronous_commit=local\n` });
  try {
    await watched(cluster.target, {}, async ({ monitor, metrics, lines }) => {
      const since = Date.now();
      await seen('seven seconds of commits', async () => {
        await run(cluster.target, 'create table if not exists t ()');
        return Date.now() - since > 7000;
      });
      expect(monitor.stuckCommits).toBeNull();
      expect(said(lines, 'commits do not return')).toBe(0);
      expect(await metrics.render()).toContain('compute_pg_commits_stuck_ms 0');
    });
  } finally {
    await cluster.stop();
  }
});
