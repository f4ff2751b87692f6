import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { withPg } from '../../src/pg/client.ts';
import { Agent, type FakeHierarchy, fakeHierarchy } from '../support/agent.ts';
import { type Cluster, freePort, startCluster } from '../support/cluster.ts';
import { type Rig, processesIn, rig } from '../support/compute.ts';
import { defaultPostgres } from '../support/postgres-versions.ts';
import { eventually, startProgram } from '../support/program.ts';

const gib = 1024 ** 3;
const signal = new AbortController().signal;
let it: Rig;
let hierarchy: FakeHierarchy;
let monitorPort: number;
let bin: string;

beforeEach(async () => {
  it = await rig();
  hierarchy = fakeHierarchy(4 * gib);
  monitorPort = await freePort();
  bin = join(it.home, 'bin');
  mkdirSync(bin);
  chmodSync(bin, 0o777); // the user of Postgres writes into it too
  script('cgexec', `echo "$2 $(basename $6) $7" >> ${bin}/groups; shift 2; exec "$@"`);
  script('sudo', `echo "$@" >> ${bin}/sudo.calls; exec "$@"`);
});
afterEach(async () => {
  await it.stop();
  hierarchy.remove();
});

function script(name: string, text: string): void {
  writeFileSync(join(bin, name), `#!/bin/sh\n${text}\n`);
  chmodSync(join(bin, name), 0o755);
}

const read = (name: string): string => {
  const path = join(bin, name);
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
};

/** A machine that is scaled, on doubles of its tools. */
const vm = () => ({
  args: [
    ...['--vm-monitor-addr', `127.0.0.1:${monitorPort}`, '--cgroup', 'neon-postgres'],
    ...['--filecache-connstr', `host=127.0.0.1 port=${it.port} dbname=postgres user=cloud_admin`],
    ...['--resize-swap-on-bind', '--set-disk-quota-for-fs', '/data'],
  ],
  env: {
    AUTOSCALING: '',
    PATH: `${bin}:${defaultPostgres().bindir}:${process.env['PATH']}`,
    COMPUTE_CTL_CGROUP_ROOT: hierarchy.root,
    COMPUTE_CTL_VM_TOOLS_DIR: bin,
    COMPUTE_CTL_SUDO: join(bin, 'sudo'),
    COMPUTE_CTL_VM_INFORMANT: join(bin, 'informant'),
  },
});

function spec(changes: object = {}): Record<string, unknown> {
  const made = it.spec(changes);
  const { settings } = made['cluster'] as { settings: object[] };
  settings.push(
    { name: 'neon.file_cache_size_limit', value: '0', vartype: 'string' },
    { name: 'neon.max_file_cache_size', value: '2GB', vartype: 'string' },
  );
  return made;
}

const cacheSize = () =>
  withPg(
    {
      host: '127.0.0.1',
      port: it.port,
      user: 'cloud_admin',
      password: null,
      database: 'postgres',
      options: '',
    },
    { applicationName: 'test', connectMs: 5000, queryMs: 5000, signal },
    async (pg) => (await pg.query("select current_setting('neon.file_cache_size_limit') size")).rows[0]?.size,
  );
const backendsOf = (cluster: Cluster) =>
  withPg(cluster.target, { applicationName: 'test', connectMs: 5000, queryMs: 5000, signal }, async (pg) =>
    (
      await pg.query<{ pid: number }>(
        "select pid from pg_stat_activity where application_name = 'vm-monitor'",
      )
    ).rows.map(({ pid }) => pid),
  );
const cacheBecomes = (mib: number) =>
  eventually(`a file cache of ${mib} MiB`, async () => (await cacheSize()) === String(mib) || undefined);
const connected = () => eventually('the vm-monitor', () => Agent.connect(monitorPort));

test('a compute in a VM: group, swap, quota, informant, and a monitor that lives as long as Postgres', async () => {
  script('resize-swap', 'rm "$0"');
  script('set-disk-quota', 'true');
  script('informant', 'echo informed; exit 7');
  const program = it.start({ ...vm(), spec: spec({ swap_size_bytes: 1_073_741_824, disk_quota_bytes: 0 }) });
  await it.until('running');
  expect(read('groups')).toContain('memory:neon-postgres postgres -D');
  expect(read('sudo.calls')).toContain(`${bin}/resize-swap --once 1073741824\n`);
  expect(read('sudo.calls')).toContain(`${bin}/set-disk-quota 0 /data\n`);
  await eventually(
    'the end of the informant',
    () => /exited with code 7/.exec(program.stderr()) ?? undefined,
  );
  expect(program.stderr()).toContain('vm-informant: informed');

  const agent = await connected();
  await cacheBecomes(2048);
  await eventually('approval', async () => (await agent.mayDownscale(2 * gib)).Ok || undefined);
  await cacheBecomes(1461);
  hierarchy.use(2 * gib);
  await eventually('a request', () => agent.upscaleRequests[0]);
  expect(await agent.upscaled(3 * gib)).toMatchObject({ type: 'UpscaleConfirmation' });
  const metrics = (await it.http('GET', '/metrics')).body;
  expect(metrics).toContain('\ncompute_ctl_vm_monitor_listening 1\n');
  expect(metrics).toContain('compute_ctl_vm_monitor_requests_total{outcome="ok",type="upscale"} 1');
  // It is started again five seconds after its end, which may have come by now.
  expect(metrics).toMatch(/\ncompute_ctl_vm_informant_starts_total [1-9]\d*\n/);

  // The file cache is left alone as soon as a new spec says so.
  const quiet = it.config(spec({ disable_lfc_resizing: true }));
  expect((await it.http('POST', '/configure', quiet)).json()).toMatchObject({ status: 'running' });
  const before = await cacheSize();
  await agent.upscaled(4 * gib);
  expect(await cacheSize()).toBe(before);

  program.kill('SIGTERM');
  expect(await agent.closed).toEqual({ code: 1000, reason: 'the compute is shutting down' });
  expect(await program.exited()).toBe(0);
  expect(agent.complaints).toEqual([]);
  expect(processesIn(it.pgdata)).toEqual([]);
});

test('a swap that cannot be resized fails the start, and there is no monitor', async () => {
  script('resize-swap', 'echo no room >&2; exit 1');
  const program = it.start({ ...vm(), spec: spec({ swap_size_bytes: 1024 }) });
  const { error } = await it.until('failed');
  expect(error).toContain('could not resize the swap to 1024 bytes');
  expect(error).toContain('no room');
  await expect(Agent.connect(monitorPort)).rejects.toThrow();
  expect(await program.exited()).toBe(1);
});

test('outside a VM nothing of it happens', async () => {
  const { args, env } = vm();
  const { AUTOSCALING: _, ...plain } = env;
  const program = it.start({ args, env: plain });
  await it.until('running');
  expect(program.stderr()).not.toContain('informant');
  expect(read('groups')).toBe('');
  await expect(Agent.connect(monitorPort)).rejects.toThrow();
});

test('a monitor address that cannot be used is told, and the compute serves', async () => {
  const { args, env } = vm();
  const program = it.start({ args: args.with(1, 'here:1'), env });
  await it.until('running');
  await eventually('a line', () => program.stderr().includes('vm-monitor: "here:1" is not') || undefined);
  expect((await it.http('GET', '/readyz')).status).toBe(200);
});

describe('an empty compute in a VM', () => {
  const warmup = () => `${it.pgdata}.warmup`;
  const warming = () =>
    eventually('its postmaster', () => existsSync(join(warmup(), 'data', 'postmaster.opts')) || undefined);

  test('warms up its memory, and a spec that comes meanwhile ends that', async () => {
    const program = it.start({ ...vm(), spec: null });
    await warming();
    expect((await it.http('POST', '/configure', it.config(spec()))).json()).toMatchObject({
      status: 'running',
    });
    expect(existsSync(warmup())).toBe(false);
    expect(processesIn(warmup())).toEqual([]);
    expect(read('groups')).toContain('memory:neon-postgres postgres -D');
    await (await connected()).close();
    program.kill('SIGTERM');
    expect(await program.exited()).toBe(0);
  });

  test.each(['SIGTERM', 'SIGINT', 'SIGQUIT'] as const)('leaves nothing of it after %s', async (by) => {
    const program = it.start({ ...vm(), spec: null });
    await warming();
    program.kill(by);
    expect(await program.exited()).toBe(0);
    expect(existsSync(warmup())).toBe(false);
    expect(processesIn(warmup())).toEqual([]);
  });
});

test('a resize that is stuck does not hold up the end of the program', async () => {
  const cluster = await startCluster({
    conf: "neon.file_cache_size_limit = 0\nneon.max_file_cache_size = '8GB'",
  });
  const connstr = `host=127.0.0.1 port=${cluster.port} dbname=postgres user=cloud_admin`;
  const args = ['--pgconnstr', connstr, '--addr', `127.0.0.1:${monitorPort}`];
  const program = startProgram('vm-monitor', args, { COMPUTE_CTL_CGROUP_ROOT: hierarchy.root });
  let stopped: number[] = [];
  try {
    const agent = await connected();
    await agent.upscaled(4 * gib);
    stopped = await backendsOf(cluster);
    expect(stopped).toHaveLength(1);
    for (const pid of stopped) process.kill(pid, 'SIGSTOP');
    const stuck = agent.upscaled(2 * gib).catch((error: unknown) => error);
    expect(await agent.healthCheck()).toMatchObject({ type: 'HealthCheck' });
    const startMs = performance.now();
    program.kill('SIGTERM');
    expect(await program.exited()).toBe(0);
    const tookMs = performance.now() - startMs;
    // The resize itself is given up after 4000 ms.
    expect(tookMs).toBeLessThan(3000);
    expect(String(await stuck)).toContain('connection closed');
  } finally {
    for (const pid of stopped) process.kill(pid, 'SIGCONT');
    program.kill('SIGKILL');
    await cluster.stop();
  }
});

test('the monitor as a program of its own', async () => {
  const cluster = await startCluster({
    conf: "neon.file_cache_size_limit = 0\nneon.max_file_cache_size = '8GB'",
  });
  const connstr = `host=127.0.0.1 port=${cluster.port} dbname=postgres user=cloud_admin`;
  const args = ['--cgroup', 'neon-postgres', '--pgconnstr', connstr, '--addr', `127.0.0.1:${monitorPort}`];
  const program = startProgram('vm-monitor', args, { COMPUTE_CTL_CGROUP_ROOT: hierarchy.root });
  try {
    const agent = await connected();
    expect(await agent.upscaled(4 * gib)).toMatchObject({ type: 'UpscaleConfirmation' });
    expect(program.stderr()).toContain('the file cache 2997 MiB');
    const second = startProgram('vm-monitor', args);
    expect(await second.exited()).toBe(1);
    expect(second.stderr()).toContain('EADDRINUSE');
    program.kill('SIGTERM');
    expect(await agent.closed).toMatchObject({ code: 1000 });
    expect(await program.exited()).toBe(0);
  } finally {
    program.kill('SIGKILL');
    await cluster.stop();
  }
  expect(await startProgram('vm-monitor', ['--addr', 'localhost:1']).exited()).toBe(2);
  expect(await startProgram('vm-monitor', ['--no-such-flag']).exited()).toBe(2);
});
