import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Rig, processesIn, rig } from '../support/compute.ts';
import { type NotifySocket, notifySocket } from '../support/notify-socket.ts';
import { osUser } from '../support/postgres-versions.ts';
import { eventually } from '../support/program.ts';
import { onPath } from '../support/on-path.ts';

const possible = onPath('systemd-notify') && onPath('python3');

describe.skipIf(!possible)('systemd', () => {
  let it: Rig;
  let systemd: NotifySocket;
  beforeEach(async () => {
    it = await rig();
    systemd = await notifySocket(it.home);
  });
  afterEach(async () => {
    await it.stop();
    systemd.stop();
  });
  const start = (env: NodeJS.ProcessEnv = {}, options: Parameters<Rig['start']>[0] = {}) =>
    it.start({ ...options, env: { NOTIFY_SOCKET: systemd.path, ...env } });
  const names = (): string[] => systemd.told.flatMap(({ variables }) => Object.keys(variables));

  test('hears what the start does, then READY, RELOADING and READY again, and STOPPING; from the OS user, in this order', async () => {
    const program = start();
    await systemd.heard('EXTEND_TIMEOUT_USEC');
    await systemd.heard('READY', '1');
    expect((await it.http('GET', '/status')).json()['status']).toBe('running');
    await systemd.heard('STATUS', /^Postgres answers/);
    const seen = systemd.told.length;
    const answer = await it.http(
      'POST',
      '/configure',
      it.config(it.spec({ operation_uuid: crypto.randomUUID() })),
    );
    expect(answer.status).toBe(200);
    const { variables } = await systemd.heard('RELOADING', '1', seen);
    expect(Number(variables['MONOTONIC_USEC'])).toBeGreaterThan(0);
    await systemd.heard('READY', '1', seen);
    program.kill('SIGTERM');
    await systemd.heard('STOPPING', '1');
    expect(await program.exited()).toBe(0);
    const order = names().filter((name) => ['READY', 'RELOADING', 'STOPPING'].includes(name));
    expect(order).toEqual(['READY', 'RELOADING', 'READY', 'STOPPING']);
    const uid = osUser?.uid ?? process.getuid?.();
    expect(new Set(systemd.told.map((told) => told.uid))).toEqual(new Set([uid]));
  });

  test('hears nothing of READY from a start that fails, but why', async () => {
    const program = start({}, { spec: it.spec({ pageserver_connstring: 'postgresql://no@127.0.0.1:1' }) });
    await systemd.heard('STATUS', /^failed: .*ECONNREFUSED/);
    await systemd.heard('STOPPING', '1');
    expect(await program.exited()).toBe(1);
    expect(names()).not.toContain('READY');
  });

  test('hears that Postgres hangs, and of a compute_ctl that lives', async () => {
    start({ WATCHDOG_USEC: '900000' });
    await systemd.heard('READY', '1');
    const postmaster = Number(readFileSync(join(it.pgdata, 'postmaster.pid'), 'utf8').split('\n')[0]);
    process.kill(postmaster, 'SIGSTOP');
    const { variables } = await systemd.heard('STATUS', /^Postgres does not answer: .*since/);
    expect(variables['STATUS']).toMatch(/timeout/);
    const seen = systemd.told.length;
    await systemd.heard('WATCHDOG', '1', seen);
    process.kill(postmaster, 'SIGCONT');
    await systemd.heard('STATUS', /^Postgres answers/, seen);
  });

  test('hears nothing from the watchdog of a compute_ctl that stands still', async () => {
    const program = start({ WATCHDOG_USEC: '300000' });
    await systemd.heard('WATCHDOG', '1');
    program.kill('SIGSTOP');
    // What was under way may still arrive.
    await eventually('silence', async () => {
      const before = systemd.told.length;
      await new Promise((resolve) => setTimeout(resolve, 1500));
      return systemd.told.length === before ? true : undefined;
    });
    program.kill('SIGCONT');
    await systemd.heard('WATCHDOG', '1', systemd.told.length);
  });

  test('hears no watchdog where systemd watches another process', async () => {
    start({ WATCHDOG_USEC: '300000', WATCHDOG_PID: '1' });
    await systemd.heard('STATUS', /^Postgres answers/);
    await systemd.heard('READY', '1');
    expect(names()).not.toContain('WATCHDOG');
  });

  test('leaves its socket to no process of Postgres', async () => {
    start();
    await systemd.heard('READY', '1');
    const servers = processesIn(it.pgdata);
    expect(servers).not.toEqual([]);
    const postmaster = Number(readFileSync(join(it.pgdata, 'postmaster.pid'), 'utf8').split('\n')[0]);
    expect(servers).toContain(postmaster);
    // Its processes have its environment; any of them but the postmaster may end at any moment.
    expect(readFileSync(`/proc/${postmaster}/environ`, 'latin1')).not.toContain('NOTIFY_SOCKET');
  });

  test('a compute starts as ever when the socket is not there, or systemd-notify is not, and says so once', async () => {
    const program = it.start({ env: { NOTIFY_SOCKET: `${it.home}/none` } });
    await it.until('running');
    program.kill('SIGTERM');
    expect(await program.exited()).toBe(0);
    expect(program.stderr().match(/could not tell systemd/g)).toHaveLength(1);
  });
});
