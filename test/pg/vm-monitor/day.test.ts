import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { withPg } from '../../../src/pg/client.ts';
import { Metrics } from '../../../src/metrics/registry.ts';
import { mib } from '../../../src/vm-monitor/decisions.ts';
import { FileCache } from '../../../src/vm-monitor/file-cache.ts';
import { type Monitor, startMonitor } from '../../../src/vm-monitor/server.ts';
import { Agent, type FakeHierarchy, fakeHierarchy } from '../../support/agent.ts';
import { type Cluster, startCluster } from '../../support/cluster.ts';
import { eventually } from '../../support/program.ts';
import { figure } from '../monitor/support.ts';

const gib = 1024 * mib;
let cluster: Cluster;
let hierarchy: FakeHierarchy;
let monitor: Monitor;
let cache: FileCache;
let resizing = true;
const metrics = new Metrics();
const lines: string[] = [];
const log = pino({ level: 'debug' }, { write: (line: string) => lines.push(line) });

beforeAll(async () => {
  cluster = await startCluster({ conf: "neon.file_cache_size_limit = 0\nneon.max_file_cache_size = '8GB'" });
  hierarchy = fakeHierarchy(2 * gib);
  cache = new FileCache(cluster.target, log);
  monitor = await startMonitor({
    listening: { host: '127.0.0.1', port: 0 },
    cgroup: { root: hierarchy.root, name: 'neon-postgres' },
    fileCache: () => (resizing ? cache : null),
    metrics,
    log,
  });
});
afterAll(async () => {
  await monitor.close();
  await cache.close();
  await cluster.stop();
  hierarchy.remove();
});

const signal = new AbortController().signal;
const setting = () =>
  withPg(
    cluster.target,
    { applicationName: 'test', connectMs: 5000, queryMs: 5000, signal },
    async (pg) =>
      (await pg.query<{ size: string }>("select current_setting('neon.file_cache_size_limit') size")).rows[0]
        ?.size,
  );
const cacheBecomes = (size: number) =>
  eventually(`a file cache of ${size} MiB`, async () => (await setting()) === String(size) || undefined);
const asked = (agent: Agent, count: number) =>
  eventually(`${count} requests`, () => agent.upscaleRequests.length >= count || undefined);

/** Milliseconds from the moment the use goes up to the request that follows. */
async function pressure(agent: Agent, bytes: number): Promise<number> {
  const before = agent.upscaleRequests.length;
  const startMs = performance.now();
  hierarchy.use(bytes);
  await asked(agent, before + 1);
  return (agent.upscaleRequests[before]?.atMs ?? Infinity) - startMs;
}

test('a day: growth, pressure, refusal, downscale, a lost database connection, reconnect', async () => {
  hierarchy.use(200 * mib);
  let agent = await Agent.connect(monitor.port);
  await cacheBecomes(1536); // 3/4 of 2 GiB

  // Morning: the load grows, and so does the VM, unit by unit.
  for (const units of [3, 4]) {
    await pressure(agent, (units - 1) * gib);
    expect(await agent.upscaled(units * gib)).toMatchObject({ type: 'UpscaleConfirmation' });
    hierarchy.total(units * gib);
    hierarchy.use((units - 1) * gib - 600 * mib);
  }
  await cacheBecomes(2997); // the worked example of 4 GiB
  expect(readFileSync(join(cluster.dataDir, 'postgresql.auto.conf'), 'utf8')).toContain('2997');

  // Noon: busy. A downscale is refused, and nothing changes.
  hierarchy.use(2500 * mib);
  await eventually('refusal', async () => (await agent.mayDownscale(3 * gib)).Ok === false || undefined);
  expect(await setting()).toBe('2997');

  // Pressure that lasts is said again, once a second.
  const before = agent.upscaleRequests.length;
  const startMs = performance.now();
  await pressure(agent, 3990 * mib);
  await asked(agent, before + 4);
  // Counted from the start: a machine under load may deliver one late and the next in time.
  const times = agent.upscaleRequests.slice(before, before + 4).map(({ atMs }) => atMs - startMs);
  for (const [at, ms] of times.entries()) expect(ms).toBeGreaterThan(at * 990);

  // Afternoon: the load falls; the VM shrinks, though the server has cut the monitor's connection meanwhile.
  hierarchy.use(600 * mib);
  await withPg(cluster.target, { applicationName: 'test', connectMs: 5000, queryMs: 5000, signal }, (pg) =>
    pg.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'vm-monitor'"),
  );
  await eventually('approval', async () => (await agent.mayDownscale(3 * gib)).Ok || undefined);
  await cacheBecomes(2229);
  await eventually('another', async () => (await agent.mayDownscale(2 * gib)).Ok || undefined);
  hierarchy.total(2 * gib);
  await cacheBecomes(1461);

  // Evening: a protocol error, and an agent that is replaced by its successor.
  await expect(agent.request('Nonsense', {})).rejects.toThrow('InvalidMessage');
  expect(await agent.healthCheck()).toMatchObject({ type: 'HealthCheck' });
  const next = await Agent.connect(monitor.port);
  expect(await agent.closed).toMatchObject({ code: 1000 });
  expect(agent.complaints).toEqual([]);
  agent = next;
  await cacheBecomes(1536);

  // Night: the spec switches resizing off; thresholds work on, and the file cache is left alone.
  resizing = false;
  await eventually('approval', async () => (await agent.mayDownscale(1.5 * gib)).Ok || undefined);
  expect(await setting()).toBe('1536');
  await pressure(agent, 1.5 * gib);
  expect(agent.complaints).toEqual([]);
  await agent.close();
  expect(await metrics.render()).toContain('compute_ctl_vm_monitor_connections_total 2');
});

test('pressure becomes a request within 700 ms', async () => {
  resizing = false;
  hierarchy.total(4 * gib);
  hierarchy.use(gib);
  const agent = await Agent.connect(monitor.port);
  const latenciesMs: number[] = [];
  for (let round = 0; round < 8; round++) {
    hierarchy.use(gib);
    // The monitor asks once a second at most, however great the pressure.
    await new Promise((resolve) => setTimeout(resolve, 1100));
    latenciesMs.push(await pressure(agent, 3.6 * gib));
  }
  await agent.close();
  const sorted = latenciesMs.toSorted((a, b) => a - b);
  const medianMs = sorted[sorted.length >> 1] ?? Infinity;
  figure('pressure to UpscaleRequest, median ms', medianMs);
  // Half of them: single ones depend on what else the machine does.
  expect(medianMs).toBeLessThan(700);
});

test('while Postgres hangs, health checks are answered at once and a change of size fails in time', async () => {
  resizing = true;
  hierarchy.use(gib);
  const agent = await Agent.connect(monitor.port);
  await eventually('approval', async () => (await agent.mayDownscale(3 * gib)).Ok || undefined);
  const { rows } = await withPg(
    cluster.target,
    { applicationName: 'test', connectMs: 5000, queryMs: 5000, signal },
    (pg) => pg.query("select pid from pg_stat_activity where application_name = 'vm-monitor'"),
  );
  const { pid } = rows[0] as { pid: number };
  process.kill(pid, 'SIGSTOP');
  cluster.postmaster.kill('SIGSTOP');
  try {
    // The agent's own limit is 5 s: the answer must come before, and say that it failed.
    const checked = async (): Promise<void> => {
      const startMs = performance.now();
      await agent.healthCheck();
      expect(performance.now() - startMs).toBeLessThan(1000);
    };
    await Promise.all([
      expect(agent.upscaled(5 * gib)).rejects.toThrow('InternalError: failed to handle upscale'),
      checked(),
    ]);
    // The memory is there all the same, so the threshold has risen.
    expect(await metrics.render()).toContain('compute_ctl_vm_monitor_threshold_bytes 4474273792');
  } finally {
    process.kill(pid, 'SIGCONT');
    cluster.postmaster.kill('SIGCONT');
  }
  expect(await agent.upscaled(5 * gib)).toMatchObject({ type: 'UpscaleConfirmation' });
  await agent.close();
});
