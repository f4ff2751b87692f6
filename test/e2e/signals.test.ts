import { constants } from 'node:os';
import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { processesIn, type Rig, rig } from '../support/compute.ts';
import { freePort } from '../support/cluster.ts';
import { localRig, queryLocal } from '../support/local.ts';
import { eventually, startProgram } from '../support/program.ts';

let it: Rig;
beforeEach(async () => {
  it = await rig();
});
afterEach(() => it.stop());

const { signals } = constants;
/** What cannot be caught, or must not be: see src/process/signals.ts. The C library has 32 and 33. */
const uncaught: readonly number[] = [
  signals.SIGKILL,
  signals.SIGSTOP,
  signals.SIGSEGV,
  signals.SIGBUS,
  signals.SIGFPE,
  signals.SIGILL,
  32,
  33,
];
const pausing: readonly number[] = [signals.SIGTSTP, signals.SIGTTIN, signals.SIGTTOU];
const stopping: readonly number[] = [
  signals.SIGINT,
  signals.SIGTERM,
  signals.SIGQUIT,
  signals.SIGABRT,
  signals.SIGTRAP,
  signals.SIGSYS,
];
const all = Array.from({ length: 64 }, (_, at) => at + 1).filter((number) => !uncaught.includes(number));

const send = (pid: number, number: number): void => void execFileSync('kill', [`-${number}`, String(pid)]);

test('no signal from 1 to 64 that asks for no stop ends compute_ctl or Postgres, or opens a debugger', async () => {
  const program = it.start();
  await it.until('running');
  for (const number of all.filter((one) => !stopping.includes(one))) {
    send(program.pid, number);
    if (pausing.includes(number)) send(program.pid, signals.SIGCONT);
    const answer = await it.http('GET', '/livez');
    expect([number, answer.status]).toEqual([number, 200]);
  }
  await it.until('running');
  expect(program.child.exitCode).toBeNull();
  expect(program.stderr()).toContain('received SIGUSR1: ignored');
  expect(program.output()).not.toContain('Debugger listening');
  program.kill('SIGTERM');
  expect(await program.exited(30_000)).toBe(0);
});

test('SIGUSR1 in the first moments of compute_ctl leaves no debugger open', async () => {
  for (let delayMs = 0; delayMs <= 30; delayMs += 6) {
    const program = it.start({ spec: null });
    await sleep(delayMs);
    program.kill('SIGUSR1');
    // Before Node handles signals, it ends the process, which has started nothing yet.
    const ended = (): boolean => program.child.signalCode === 'SIGUSR1';
    await eventually(
      'its start',
      async () => ended() || (await it.http('GET', '/livez')).status === 200 || undefined,
    );
    expect([delayMs, ended() ? [] : inspectorsOf(program.pid)]).toEqual([delayMs, []]);
    program.kill('SIGKILL');
    await program.exited();
  }
});

/** The sockets at which a process offers Node's debugger, at its usual port. */
function inspectorsOf(pid: number): string[] {
  const port = 9229;
  const listening = readFileSync('/proc/net/tcp', 'latin1')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(
      ([, local = '', , state]) => state === '0A' && Number.parseInt(local.split(':')[1] ?? '', 16) === port,
    )
    .map((fields) => `socket:[${fields[9]}]`);
  return readdirSync(`/proc/${pid}/fd`)
    .map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`))
    .filter((file) => listening.includes(file));
}

test.each(stopping)('signal %i ends Postgres first, in order', async (number) => {
  const program = it.start();
  await it.until('running');
  send(program.pid, number);
  expect(await program.exited(60_000)).toBe(0);
  expect(processesIn(it.pgdata)).toEqual([]);
  expect(program.stderr()).toContain('database system is shut down');
});

test('SIGHUP reads the configuration again', async () => {
  const program = it.start();
  await it.until('running');
  const more = {
    cluster: {
      ...(it.spec()['cluster'] as object),
      roles: [{ name: 'by_hup', encrypted_password: null, options: null }],
    },
  };
  writeFileSync(join(it.home, 'config.json'), JSON.stringify(it.config(it.spec(more))));
  program.kill('SIGHUP');
  await eventually('the refresh', () =>
    program.stderr().includes('refreshed the configuration') ? true : undefined,
  );
  expect((await it.http('GET', '/dbs_and_roles')).body).toContain('by_hup');
});

test('SIGHUP without a configuration to read again is noted and ignored', async () => {
  const program = it.start({ spec: null });
  await it.until('empty');
  program.kill('SIGHUP');
  await eventually('the note', () =>
    program.stderr().includes('SIGHUP has no effect: there is no configuration to read again')
      ? true
      : undefined,
  );
  expect((await it.http('GET', '/status')).json()['status']).toBe('empty');
});

test('compute-local and its storage end by no other signal, and in order when their terminal closes', async () => {
  const local = localRig();
  try {
    const { program, to } = await local.upAndReady();
    const storage = local.pidOf('storage') ?? 0;
    for (const pid of [program.pid, storage])
      for (const signal of ['SIGUSR1', 'SIGUSR2', 'SIGALRM', 'SIGPROF', 'SIGIO', 'SIGPWR'] as const)
        process.kill(pid, signal);
    await queryLocal(to, 'create table kept as select 42 answer');
    expect([local.pidOf('storage'), program.child.exitCode]).toEqual([storage, null]);
    program.kill('SIGHUP');
    expect(await program.exited()).toBe(0);
    expect(processesIn(local.dir)).toEqual([]);
    for (const what of ['postgres', 'compute_ctl', 'storage'] as const)
      expect(local.pidOf(what)).toBeUndefined();
    const again = await local.upAndReady();
    expect(await queryLocal(again.to, 'select answer from kept')).toEqual([{ answer: 42 }]);
  } finally {
    await local.clean();
  }
});

test('the vm-monitor ends by no other signal', async () => {
  const port = await freePort();
  const program = startProgram('vm-monitor', ['--addr', `127.0.0.1:${port}`]);
  try {
    const asked = async (): Promise<number> => (await fetch(`http://127.0.0.1:${port}/monitor`)).status;
    await eventually('the monitor', async () => (await asked()) === 426 || undefined);
    for (const signal of ['SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGALRM', 'SIGPROF', 'SIGIO', 'SIGPWR'] as const)
      program.kill(signal);
    expect(await asked()).toBe(426);
    program.kill('SIGTERM');
    expect(await program.exited()).toBe(0);
  } finally {
    program.kill('SIGKILL');
  }
});
