import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { pino } from 'pino';
import { createLog } from '../../../src/core/log.ts';
import { Metrics } from '../../../src/metrics/registry.ts';
import { mib } from '../../../src/vm-monitor/decisions.ts';
import { type Monitor, runMonitor, startMonitor } from '../../../src/vm-monitor/server.ts';
import { Agent, type FakeHierarchy, fakeHierarchy, stayConnected } from '../../support/agent.ts';
import { freePort } from '../../support/cluster.ts';
import { eventually } from '../../support/program.ts';

const gib = 1024 * mib;
const log = createLog({ format: 'text', level: 'silent' });
let hierarchy: FakeHierarchy;
let metrics: Metrics;
let monitor: Monitor;

const options = (port = 0) => ({
  listening: { host: '127.0.0.1', port },
  cgroup: { root: hierarchy.root, name: 'neon-postgres' },
  fileCache: () => null,
  metrics,
  log,
});

beforeEach(async () => {
  hierarchy = fakeHierarchy(4 * gib);
  metrics = new Metrics();
  monitor = await startMonitor(options());
});
afterEach(async () => {
  await monitor.close();
  hierarchy.remove();
});

const shown = async (line: string): Promise<boolean> => (await metrics.render()).includes(`\n${line}\n`);
const http = async (path: string): Promise<number> =>
  (await fetch(`http://127.0.0.1:${monitor.port}${path}`)).status;

/** Sends raw text as the first message; gives what was answered and how it ended. */
async function greet(range: string): Promise<{ hello: unknown; code: number }> {
  const agent = new Agent(monitor.port, range);
  const { code } = await agent.closed;
  return { hello: agent.hello, code };
}

test('the agent shakes hands, its checks are answered, and it leaves', async () => {
  const agent = await Agent.connect(monitor.port);
  expect(await agent.healthCheck()).toMatchObject({ type: 'HealthCheck', id: 2 });
  expect(await agent.healthCheck()).toMatchObject({ id: 4 });
  await agent.close();
  expect(agent.complaints).toEqual([]);
});

test('only a WebSocket at /monitor is served', async () => {
  expect(await http('/monitor')).toBe(426);
  expect(await http('/')).toBe(404);
  expect(await http('/monitor/x')).toBe(404);
  const elsewhere = new Agent(monitor.port);
  elsewhere.socket.terminate();
  const agent = await Agent.connect(monitor.port);
  expect(await http('/monitor')).toBe(426);
  expect(await agent.healthCheck()).toMatchObject({ id: 2 });
  await agent.close();
});

test('an answer says what is expected and closes its connection', async () => {
  const { status, headers } = await fetch(`http://127.0.0.1:${monitor.port}/monitor`);
  expect(status).toBe(426);
  expect(headers.get('upgrade')).toBe('websocket');
  expect(headers.get('connection')).toBe('close');
  expect((await fetch(`http://127.0.0.1:${monitor.port}/`)).headers.get('connection')).toBe('close');
});

test('an agent with only newer versions is told so; it once crashed the whole compute', async () => {
  const { hello } = await greet('{"min":2,"max":3}');
  expect(hello).toEqual({ error: expect.stringContaining('v2.0 to v3.0') as string });
  expect((await greet('{"min":0,"max":0}')).hello).toHaveProperty('error');
  expect(await greet('{"min":3,"max":1}')).toEqual({ hello: null, code: 1011 });
  expect(await greet('nonsense')).toEqual({ hello: null, code: 1011 });
  expect(await http('/monitor')).toBe(426);
});

test('a new connection replaces the old one, and begins anew with its ids', async () => {
  const first = await Agent.connect(monitor.port);
  await first.healthCheck();
  const second = await Agent.connect(monitor.port);
  expect(await first.closed).toEqual({ code: 1000, reason: 'replaced by a new connection' });
  expect(await second.healthCheck()).toMatchObject({ id: 2 });
  const third = await Agent.connect(monitor.port);
  await second.closed;
  expect(await third.healthCheck()).toMatchObject({ id: 2 });
  await third.close();
});

test('a malformed message gets InvalidMessage with its id, and the connection lives', async () => {
  const agent = await Agent.connect(monitor.port);
  await expect(agent.request('Reboot', {})).rejects.toThrow('InvalidMessage: unknown type "Reboot"');
  await expect(agent.request('DownscaleRequest', { target: { cpu: 1, mem: -5 } })).rejects.toThrow(
    'content.target.mem must be a whole number of bytes',
  );
  agent.socket.send('not json');
  agent.socket.send(Buffer.from([1, 2, 3]), { binary: true });
  agent.socket.send('{"content":{"error":5},"type":"InvalidMessage","id":3}');
  expect(await agent.healthCheck()).toMatchObject({ type: 'HealthCheck' });
  expect(agent.all.filter(({ type }) => type === 'InvalidMessage').map(({ id }) => id)).toEqual([2, 4, 0]);
  expect(await shown('compute_ctl_vm_monitor_requests_total{outcome="invalid",type="unknown"} 4')).toBe(true);
  await agent.close();
});

test('a message longer than 32 KiB ends the connection, not the monitor', async () => {
  const agent = await Agent.connect(monitor.port);
  agent.socket.send('x'.repeat(40_000));
  expect(await agent.closed).toMatchObject({ code: 1009 });
  const next = await Agent.connect(monitor.port);
  expect(await next.healthCheck()).toMatchObject({ id: 2 });
  await next.close();
});

test('a group that is missing refuses the connection and says what is missing', async () => {
  rmSync(hierarchy.group, { recursive: true });
  const missing = await (await Agent.connect(monitor.port)).closed;
  expect(missing.reason).toContain('neon-postgres/memory.stat: ENOENT');
  writeFileSync(join(hierarchy.root, 'cgroup.controllers'), 'cpu io\n');
  const refused = await (await Agent.connect(monitor.port)).closed;
  expect(refused.reason).toContain('does not list the memory controller');
});

test('pressure brings one request a second, with odd ids, and none before the agent is ready', async () => {
  hierarchy.use(4 * gib);
  const agent = await Agent.connect(monitor.port);
  await eventually('three requests', () => (agent.upscaleRequests.length >= 3 ? true : undefined));
  expect(agent.upscaleRequests.slice(0, 3).map(({ id }) => id)).toEqual([3, 5, 7]);
  const [first, second, third] = agent.upscaleRequests.map(({ atMs }) => atMs) as [number, number, number];
  // The pause is kept by the sender's clock; the way here may shorten it a little.
  expect(second - first).toBeGreaterThan(900);
  expect(third - second).toBeGreaterThan(900);
  expect(agent.complaints).toEqual([]);
  await agent.close();
});

test('downscales are judged by fresh samples, and an upscale ends the requests', async () => {
  hierarchy.use(2 * gib);
  const agent = await Agent.connect(monitor.port);
  const statistics = async (): Promise<true | undefined> =>
    (await shown(`compute_ctl_vm_monitor_memory_use_bytes ${2 * gib}`)) || undefined;
  await eventually('samples', statistics);
  await eventually('approval', async () => (await agent.mayDownscale(3 * gib)).Ok || undefined);
  expect(await shown('compute_ctl_vm_monitor_threshold_bytes 2648912691')).toBe(true);
  const refused = await agent.mayDownscale(2 * gib);
  expect(refused).toMatchObject({ Ok: false, Status: expect.stringContaining('2048 MiB') as string });
  expect(await shown('compute_ctl_vm_monitor_threshold_bytes 2648912691')).toBe(true);
  expect(await shown('compute_ctl_vm_monitor_refusals_total{reason="in_use"} 1')).toBe(true);
  expect(await agent.upscaled(4 * gib)).toMatchObject({ type: 'UpscaleConfirmation' });
  expect(await shown('compute_ctl_vm_monitor_threshold_bytes 3561593241')).toBe(true);
  await agent.close();
});

test('a port that is taken is tried again, and the gauge shows when the monitor listens', async () => {
  const port = await freePort();
  const taken = createServer().listen(port, '127.0.0.1');
  await new Promise((resolve) => taken.once('listening', resolve));
  await expect(startMonitor(options(port))).rejects.toThrow(
    `the WebSocket server cannot listen at 127.0.0.1:${port}`,
  );
  await monitor.close();
  expect(await shown('compute_ctl_vm_monitor_listening 0')).toBe(true);
  const stop = new AbortController();
  const lines: string[] = [];
  const heard = pino({ level: 'debug' }, { write: (line: string) => lines.push(line) });
  const running = runMonitor({ ...options(port), log: heard }, stop.signal, 50);
  await eventually('three tries', () => lines.length > 2 || undefined);
  // Said aloud once, then quietly.
  expect(lines.filter((line) => line.includes('"level":50'))).toHaveLength(1);
  await new Promise((resolve) => taken.close(resolve));
  await eventually(
    'the monitor',
    async () => (await shown('compute_ctl_vm_monitor_listening 1')) || undefined,
  );
  const agent = await Agent.connect(port);
  stop.abort();
  await running;
  expect(await agent.closed).toMatchObject({ code: 1000 });
});

test('an agent that keeps coming back is served again after a restart and after a group that was missing', async () => {
  const { port } = monitor;
  const agents: Agent[] = [];
  const stop = new AbortController();
  const staying = stayConnected(port, 100, (agent) => agents.push(agent), stop.signal);
  const lives = (count: number) =>
    eventually(`connection ${count}`, async () => (await agents[count - 1]?.healthCheck()) && true);
  await lives(1);
  await monitor.close();
  rmSync(hierarchy.group, { recursive: true });
  const lines: string[] = [];
  const heard = pino({ level: 'info' }, { write: (line: string) => lines.push(line) });
  monitor = await startMonitor({ ...options(port), log: heard });
  await eventually('several refusals', () => agents.length > 4 || undefined);
  expect(lines.filter((line) => line.includes('memory.stat'))).toHaveLength(1);
  mkdirSync(hierarchy.group);
  hierarchy.use(mib);
  await eventually('service', async () => (await agents.at(-1)?.healthCheck()) && true);
  stop.abort();
  await staying;
});
