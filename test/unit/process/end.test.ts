import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { type EndStep, endAll, endChild, endProcess, termThenKill } from '../../../src/process/end.ts';
import { type ProcessIdentity, identify, isAlive, signalProcess } from '../../../src/process/identity.ts';
import { type RunningProcess, startProcess } from '../../../src/process/process.ts';

const never = new AbortController().signal;

/** Runs a script that says something once it is ready. */
async function running(script: string): Promise<{ child: ChildProcess; one: ProcessIdentity }> {
  const child = spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'ignore'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  return { child, one: identify(child.pid!)! };
}

const deaf = 'trap "" TERM; echo on; while :; do sleep 0.05; done';
const obedient = 'echo on; exec sleep 600';

test('a process is only signalled under the start time it was identified with', async () => {
  const { child, one } = await running(obedient);
  const later = { pid: one.pid, started: `${one.started}0` };
  expect([isAlive(one), isAlive(later)]).toEqual([true, false]);
  expect(signalProcess(later, 'SIGKILL')).toBe(false);
  await expect(endAll(() => [later].filter(isAlive), termThenKill(1000), never)).resolves.toEqual([]);
  expect(isAlive(one)).toBe(true);
  const ended = once(child, 'exit');
  expect(signalProcess(one, 'SIGTERM')).toBe(true);
  await ended;
});

test('a process that does not obey gets one step after the other, and a stopped one is continued', async () => {
  const [stubborn, stopped] = [await running(deaf), await running(obedient)];
  const exits = [stubborn, stopped].map(({ child }) => once(child, 'exit'));
  stopped.child.kill('SIGSTOP');
  await endProcess(stubborn.one, 'the test', termThenKill(50), never);
  await endProcess(stopped.one, 'the test', termThenKill(600_000), never);
  expect((await Promise.all(exits)).map(([, signal]) => signal as string)).toEqual(['SIGKILL', 'SIGTERM']);
});

test('processes that appear while others are ended are ended too, each with its own signal', async () => {
  const [first, second] = [await running(obedient), await running(obedient)];
  const exits = [first, second].map(({ child }) => once(child, 'exit'));
  const known = (): ProcessIdentity[] =>
    [first, second]
      .filter(({ one }, at) => isAlive(one) && (at === 0 || !isAlive(first.one)))
      .map(({ one }) => one);
  const steps: EndStep[] = [{ signal: 'SIGINT', graceMs: 10_000 }];
  const signalFor = (one: ProcessIdentity): NodeJS.Signals => (one === first.one ? 'SIGINT' : 'SIGQUIT');
  expect(await endAll(known, steps, never, { signalFor })).toEqual([]);
  expect((await Promise.all(exits)).map(([, signal]) => signal as string)).toEqual(['SIGINT', 'SIGQUIT']);
});

test('an abort gives up on a process that is not our child', async () => {
  const { one } = await running(deaf);
  const abort = new AbortController();
  setTimeout(() => abort.abort(), 20);
  const ending = endProcess(one, 'the test', termThenKill(600_000), abort.signal);
  await expect(ending).rejects.toMatchObject({ name: 'AbortError' });
  expect(isAlive(one)).toBe(true);
});

test('process_stuck: a process of compute-local that outlives all steps is not called Postgres', async () => {
  const { one } = await running(deaf);
  const steps: EndStep[] = [{ signal: 'SIGTERM', graceMs: 30 }];
  await expect(endProcess(one, 'the storage', steps, never)).rejects.toMatchObject({
    code: 'process_stuck',
    message: `the storage (pid ${one.pid}) still runs after SIGTERM`,
  });
});

test('process_stuck: a child says so, and postgres_stuck only where it is Postgres', async () => {
  const child: RunningProcess = await startProcess({ command: 'sh', args: ['-c', deaf] });
  await new Promise((resolve) => child.stdout?.once('data', resolve));
  const steps: EndStep[] = [{ signal: 'SIGTERM', graceMs: 30 }];
  await expect(endChild(child, steps, never)).rejects.toMatchObject({ code: 'process_stuck' });
  const postgres = endChild(child, steps, never, { stuck: 'postgres_stuck' });
  await expect(postgres).rejects.toMatchObject({ code: 'postgres_stuck' });
  await endChild(child, termThenKill(0), never);
});

test('the limit of a step is one of the clock, however long each look takes', async () => {
  const { one } = await running(deaf);
  const slowly = (): ProcessIdentity[] => {
    for (const until = performance.now() + 100; performance.now() < until;);
    return [one];
  };
  const startMs = performance.now();
  expect(await endAll(slowly, [{ signal: 'SIGTERM', graceMs: 150 }], never)).toEqual([one]);
  expect(performance.now() - startMs).toBeLessThan(1000);
});
