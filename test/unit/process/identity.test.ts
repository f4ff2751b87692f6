import { once } from 'node:events';
import { spawn } from 'node:child_process';
import { expect, test } from 'vitest';
import { never } from '../../../src/core/abort.ts';
import { endProcess, termThenKill } from '../../../src/process/end.ts';
import { identify } from '../../../src/process/identity.ts';

/** A shell that says when its traps are set. */
async function shell(script: string) {
  const child = spawn('sh', ['-c', `${script}; echo ready; while :; do sleep 0.1; done`]);
  const exited = once(child, 'exit');
  await once(child.stdout, 'data');
  const identity = identify(child.pid as number);
  if (identity === null) throw new Error('the shell has ended');
  return { identity, exited };
}

test('a process that ends at SIGTERM is not killed', async () => {
  const { identity, exited } = await shell('trap "exit 3" TERM');
  await endProcess(identity, 'the shell', termThenKill(60_000), never);
  expect(await exited).toEqual([3, null]);
});

test('a process that ignores SIGTERM is killed after its grace time', async () => {
  const { identity, exited } = await shell('trap "" TERM');
  await endProcess(identity, 'the shell', termThenKill(50), never);
  expect(await exited).toEqual([null, 'SIGKILL']);
});
