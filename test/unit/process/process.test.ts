import { expect, test } from 'vitest';
import { ComputeError } from '../../../src/core/errors.ts';
import { readStat, uidOf } from '../../../src/process/proc.ts';
import { startProcess } from '../../../src/process/process.ts';
import { runOk, runProcess } from '../../../src/process/run-process.ts';
import { endChild, termThenKill } from '../../../src/process/end.ts';
import { eventually } from '../../support/program.ts';

const never = new AbortController().signal;
const sh = (script: string) => ({ command: 'sh', args: ['-c', script], runAs: null });
const gone = (pid: number): boolean => readStat(pid) === null;

test('program_missing: a program that is not there is an error with its name, not an uncaught event', async () => {
  const start = startProcess({ command: 'no-such-program', args: [], runAs: null });
  await expect(start).rejects.toMatchObject({
    code: 'program_missing',
    message: 'cannot start no-such-program: ENOENT',
  });
  const elsewhere = startProcess({ ...sh('true'), cwd: '/no/such/directory' });
  await expect(elsewhere).rejects.toThrow('its working directory /no/such/directory does not exist');
});

test('a short command gives its code and its output, bounded', async () => {
  const options = {
    ...sh('echo out; echo err >&2; yes | head -c 100000; exit 3'),
    limitMs: 10_000,
    maxBytes: 50,
  };
  const { code, stdout, stderr } = await runProcess(options, never);
  expect([code, stdout.length, stderr]).toEqual([3, 50, 'err\n']);
  await expect(runOk({ ...sh('echo why >&2; exit 3'), limitMs: 10_000 }, never)).rejects.toThrow(
    'sh exited with code 3: why',
  );
});

test('a command that takes too long is killed with the children that hold its pipes', async () => {
  const pids: string[] = [];
  const options = {
    ...sh('sleep 600 & echo $! >&2; exit 0'),
    limitMs: 300,
    onStderrLine: (line: string) => pids.push(line),
  };
  await expect(runProcess(options, never)).rejects.toMatchObject({ code: 'deadline' });
  await eventually('its end', () => gone(Number(pids[0])) || undefined);
});

test('an aborted command is killed and awaited', async () => {
  const abort = new AbortController();
  const running = runProcess({ ...sh('sleep 600'), limitMs: 600_000 }, abort.signal);
  // The start is over by then, or not: either way the abort must end it.
  setTimeout(() => abort.abort(new ComputeError('terminated', 'leaving')), 20);
  await expect(running).rejects.toMatchObject({ code: 'terminated' });
});

test('a child that ignores the first signal gets the next one', async () => {
  const child = await startProcess(sh('trap "" TERM; echo on; while :; do sleep 0.05; done'));
  await new Promise((resolve) => child.stdout?.once('data', resolve));
  expect(await endChild(child, termThenKill(50), never)).toEqual({ code: null, signal: 'SIGKILL' });
  expect(child.kill('SIGTERM')).toBe(false);
});

test('escalate cuts a patient step short, and a stopped child is continued to obey', async () => {
  const abort = new AbortController();
  const child = await startProcess(sh('trap "" TERM; echo on; while :; do sleep 0.05; done'));
  await new Promise((resolve) => child.stdout?.once('data', resolve));
  // Long before the patient step ends, which is all that matters.
  setTimeout(() => abort.abort(), 20);
  expect((await endChild(child, termThenKill(600_000), abort.signal)).signal).toBe('SIGKILL');

  const stopped = await startProcess(sh('exec sleep 600'));
  stopped.kill('SIGSTOP');
  expect((await endChild(stopped, termThenKill(600_000), never)).signal).toBe('SIGTERM');
});

test.runIf(process.getuid?.() === 0)(
  'a child that became another user, as under sudo, is process_stuck, not EPERM',
  async () => {
    const args = ['--reuid', '1234', '--clear-groups', 'sleep', '600'];
    const child = await startProcess({ command: 'setpriv', args, runAs: null });
    await eventually('its new user', () => uidOf(child.pid) === 1234 || undefined);
    process.seteuid?.(65_534);
    try {
      const ended = endChild(child, [{ signal: 'SIGKILL', graceMs: 50 }], never);
      await expect(ended).rejects.toMatchObject({ code: 'process_stuck' });
    } finally {
      process.seteuid?.(0);
      child.kill('SIGKILL');
      await child.exited;
    }
  },
);
