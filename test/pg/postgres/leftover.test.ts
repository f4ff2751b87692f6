import { type ChildProcess, spawn } from 'node:child_process';
import { renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type LeftoverLimits, stopLeftover } from '../../../src/postgres/leftover.ts';
import { findPostgresOf } from '../../../src/postgres/pgdata-processes.ts';
import { type Cluster, startCluster } from '../../support/cluster.ts';
import {
  busySession,
  cleanUp,
  editPidFile,
  end,
  eventually,
  lives,
  never,
  pidFile,
  quiet,
  readPidFile,
  stoppedCluster,
} from './servers.ts';

const limits: LeftoverLimits = { fastMs: 20_000, immediateMs: 5000, killMs: 5000 };
const stop = (dir: string, own: Partial<LeftoverLimits> = {}): Promise<number> =>
  stopLeftover(dir, { ...limits, ...own }, quiet, never);

let cluster: Cluster;
let pid: number;
beforeEach(async () => {
  cluster = await startCluster();
  pid = cluster.postmaster.pid as number;
});
afterEach(() => cleanUp(cluster));

test('a living postmaster of an earlier run is stopped fast, with its children', async () => {
  expect(await stop(cluster.dataDir)).toBeGreaterThan(1);
  expect(lives(pid)).toBe(false);
  expect(findPostgresOf(cluster.dataDir).processes).toEqual([]);
  expect(cluster.log()).toContain('received fast shutdown request');
  expect(cluster.log()).toContain('database system is shut down');
  expect(await stop(cluster.dataDir)).toBe(0);
});

test('a postmaster that was stopped by SIGSTOP ends too', async () => {
  process.kill(pid, 'SIGSTOP');
  await stop(cluster.dataDir);
  expect(lives(pid)).toBe(false);
  expect(cluster.log()).toContain('received fast shutdown request');
});

test('a postmaster that does not obey is killed, with every backend', async () => {
  const session = await busySession(cluster);
  const keepStopped = setInterval(() => {
    for (const one of [pid, session.pid]) if (lives(one)) process.kill(one, 'SIGSTOP');
  }, 5);
  try {
    await stop(cluster.dataDir, { fastMs: 100, immediateMs: 100 });
  } finally {
    clearInterval(keepStopped);
  }
  expect([lives(pid), lives(session.pid)]).toEqual([false, false]);
  await session.ended;
});

test('backends that outlive a killed postmaster are ended', async () => {
  const session = await busySession(cluster);
  await end(cluster, 'SIGKILL');
  expect(lives(session.pid)).toBe(true);
  await stop(cluster.dataDir);
  expect(lives(session.pid)).toBe(false);
  await session.ended;
});

test('a postmaster without its pid file is found', async () => {
  unlinkSync(pidFile(cluster));
  await stop(cluster.dataDir);
  expect(lives(pid)).toBe(false);
});

test('a postmaster whose directory was deleted or moved aside is found', async () => {
  renameSync(cluster.dataDir, `${cluster.dataDir}.old-0123456789abcdef`);
  expect(findPostgresOf(cluster.dataDir).processes.some((one) => one.pid === pid)).toBe(true);
  rmSync(`${cluster.dataDir}.old-0123456789abcdef`, { recursive: true, force: true });
  await stop(cluster.dataDir);
  expect(lives(pid)).toBe(false);
});

test('the postmaster of another cluster at a recycled pid is left alone', async () => {
  const other = await stoppedCluster();
  try {
    writeFileSync(pidFile(other), readPidFile(cluster).replaceAll(cluster.dataDir, other.dataDir));
    const otherSegment = { 6: '  99999999   99999999' };
    writeFileSync(pidFile(other), editPidFile(readPidFile(other), otherSegment));
    expect(await stop(other.dataDir)).toBe(0);
    expect(lives(pid)).toBe(true);
  } finally {
    await other.stop();
  }
});

test('a shared memory segment that somebody still has attached is refused', async () => {
  const other = await stoppedCluster();
  try {
    writeFileSync(pidFile(other), readPidFile(cluster)); // our cluster has it attached
    await expect(stop(other.dataDir)).rejects.toMatchObject({
      code: 'pgdata_refused',
      message: expect.stringContaining('shared memory segment') as string,
      hint: expect.stringContaining('ipcs') as string,
    });
    expect(lives(pid)).toBe(true);
  } finally {
    await other.stop();
  }
});

test('a pid that now belongs to another program is stale; one that may be a Postgres is refused', async () => {
  const text = readPidFile(cluster);
  await end(cluster, 'SIGINT');
  const bystander: ChildProcess = spawn('sleep', ['600'], { cwd: cluster.dataDir });
  try {
    await eventually('the bystander runs', () => bystander.pid !== undefined && lives(bystander.pid));
    const found = `${bystander.pid}`;
    writeFileSync(pidFile(cluster), editPidFile(text, { 0: found, 2: '1500000000' }));
    expect(await stop(cluster.dataDir)).toBe(0);
    const now = String(Math.floor(Date.now() / 1000));
    writeFileSync(pidFile(cluster), editPidFile(text, { 0: found, 2: now }));
    await expect(stop(cluster.dataDir)).rejects.toMatchObject({ code: 'pgdata_refused' });
    expect(lives(bystander.pid as number)).toBe(true);
  } finally {
    bystander.kill('SIGKILL');
  }
});

test('a damaged pid file and a directory that is not there are no obstacle', async () => {
  await end(cluster, 'SIGINT');
  writeFileSync(pidFile(cluster), '\0garbage');
  expect(await stop(cluster.dataDir)).toBe(0);
  expect(await stop(`${cluster.dataDir}-not-there`)).toBe(0);
});
