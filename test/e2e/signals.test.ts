import { constants } from 'node:os';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { processesIn, type Rig, rig } from '../support/compute.ts';
import { eventually } from '../support/program.ts';

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
