import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Secret } from '../../../src/core/secret.ts';
import { withPg } from '../../../src/pg/client.ts';
import { startPostgres } from '../../../src/postgres/postgres.ts';
import type { Cluster } from '../../support/cluster.ts';
import {
  busySession,
  cleanUp,
  clientOptions,
  eventually,
  lives,
  never,
  optionsFor,
  pidFile,
  startReady,
  stoppedCluster,
} from './servers.ts';

let cluster: Cluster;
beforeEach(async () => {
  cluster = await stoppedCluster();
});
afterEach(() => cleanUp(cluster));

const query = async (sql: string): Promise<unknown> =>
  withPg(cluster.target, clientOptions, async (pg) => (await pg.query(sql)).rows[0]);

test('Postgres becomes ready, answers, and a fast stop leaves with 0 and nothing behind', async () => {
  const { postgres, lines } = await startReady(cluster, { authToken: new Secret('token') });
  expect(await query('select 1 as one')).toEqual({ one: 1 });
  expect(postgres.exit).toBeNull();
  expect(await postgres.stop('fast', { fastMs: 30_000 }, never)).toEqual({ code: 0, signal: null });
  expect(existsSync(pidFile(cluster))).toBe(false);
  expect(lines.some((line) => line.startsWith('PG:') && line.includes('ready to accept connections'))).toBe(
    true,
  );
  expect(lines.at(-1)).toContain('is shut down');
  expect(postgres.reload()).toBe(false);
});

test('Postgres may leave a core dump of any size that the system allows', async () => {
  const { postgres } = await startReady(cluster);
  const limits = readFileSync(`/proc/${postgres.pid}/limits`, 'utf8');
  const [, soft, hard] = /^Max core file size +(\S+) +(\S+)/m.exec(limits) ?? [];
  expect(soft).toBe(hard);
  expect(readFileSync(`/proc/${postgres.pid}/cmdline`, 'utf8')).toMatch(/^\S+\/postgres\0-D\0/);
  await postgres.stop('immediate', { fastMs: 0 }, never);
});

test('a reload makes Postgres read its configuration again', async () => {
  const { postgres, lines } = await startReady(cluster);
  appendFileSync(join(cluster.dataDir, 'postgresql.conf'), "work_mem = '17MB'\n");
  expect(postgres.reload()).toBe(true);
  await eventually('the reload', () => lines.some((line) => line.includes('work_mem')));
  expect(await query('show work_mem')).toEqual({ work_mem: '17MB' });
  await postgres.stop('immediate', { fastMs: 0 }, never);
});

test('a Postgres that refuses its configuration is reported with its exit code', async () => {
  appendFileSync(join(cluster.dataDir, 'postgresql.conf'), 'no_such_setting\n');
  const { options, lines } = await optionsFor(cluster);
  const postgres = await startPostgres(options);
  await expect(postgres.waitReady(30_000, never)).rejects.toMatchObject({
    code: 'postgres_start',
    message: 'Postgres exited unexpectedly with code 1',
  });
  expect(lines.join()).toContain('contains errors');
});

test('a Postgres that does not become ready in time is killed and awaited, not orphaned', async () => {
  const { options } = await optionsFor(cluster);
  const postgres = await startPostgres(options);
  process.kill(postgres.pid, 'SIGSTOP');
  await expect(postgres.waitReady(200, never)).rejects.toThrow(
    'timed out while waiting for Postgres to start',
  );
  expect(lives(postgres.pid)).toBe(false);
});

test('the ready of a pid file of an earlier run is not believed', async () => {
  const other = `${process.pid}\n${cluster.dataDir}\n1\n1\n\n\n\nready\n`;
  const { options } = await optionsFor(cluster);
  const postgres = await startPostgres(options);
  process.kill(postgres.pid, 'SIGSTOP');
  writeFileSync(pidFile(cluster), other);
  await expect(postgres.waitReady(200, never)).rejects.toThrow('timed out');
});

test('an abort ends the wait and leaves the stop to the caller', async () => {
  const { options } = await optionsFor(cluster);
  const postgres = await startPostgres(options);
  const abort = new AbortController();
  const waiting = postgres.waitReady(30_000, abort.signal);
  abort.abort(new Error('leaving'));
  await expect(waiting).rejects.toThrow('leaving');
  await postgres.stop('fast', { fastMs: 30_000 }, never);
  expect(lives(postgres.pid)).toBe(false);
});

test('a fast stop that a stopped postmaster does not hear goes through all the same', async () => {
  const { postgres } = await startReady(cluster);
  process.kill(postgres.pid, 'SIGSTOP');
  expect((await postgres.stop('fast', { fastMs: 30_000 }, never)).code).toBe(0);
});

test('a fast stop goes over to immediate when its limit ends, and when somebody is in a escalate', async () => {
  for (const escalate of [false, true]) {
    const { postgres } = await startReady(cluster);
    const session = await busySession(cluster);
    const abort = new AbortController();
    // A stopped backend keeps the postmaster waiting; it is stopped again should the stop have continued it.
    const keepStopped = setInterval(() => lives(session.pid) && process.kill(session.pid, 'SIGSTOP'), 5);
    try {
      process.kill(session.pid, 'SIGSTOP');
      const stopping = postgres.stop(
        'fast',
        { fastMs: escalate ? 600_000 : 100, immediateMs: 100 },
        abort.signal,
      );
      if (escalate) setTimeout(() => abort.abort(), 50);
      await stopping;
    } finally {
      clearInterval(keepStopped);
    }
    expect(lives(session.pid)).toBe(false);
    await session.ended;
  }
});

test('when the postmaster is killed, the backends that outlive it are ended before the exit is told', async () => {
  const { postgres } = await startReady(cluster);
  const session = await busySession(cluster);
  process.kill(postgres.pid, 'SIGKILL');
  expect(await postgres.exited).toEqual({ code: null, signal: 'SIGKILL' });
  expect(lives(session.pid)).toBe(false);
  await session.ended;
});

test('a missing cgexec is named', async () => {
  const { options } = await optionsFor(cluster, { cgroup: 'neon-postgres', env: { PATH: '/nowhere' } });
  await expect(startPostgres(options)).rejects.toThrow('cannot start cgexec');
});
