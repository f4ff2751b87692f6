import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { identify, isAlive } from '../../../src/process/identity.ts';
import { endByPidFile, readPidFile, writePidFile } from '../../../src/process/pid-file.ts';

const never = new AbortController().signal;

function freshDir(): string {
  const path = mkdtempSync(join(tmpdir(), 'pid-file-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

test('a pid file finds the process it was written for, and no other one with its pid', async () => {
  const path = join(freshDir(), 'pid');
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  const ended = once(child, 'exit');
  expect(writePidFile(path, child.pid!)).toBe(true);
  expect(readPidFile(path)).toEqual(identify(child.pid!));
  const { pid } = identify(child.pid!)!;
  writeFileSync(`${path}.other`, JSON.stringify({ pid, started: 'boot:1' }));
  expect(readPidFile(`${path}.other`)).toBeNull();
  await expect(endByPidFile(path, 'sleep', 5000, never)).resolves.toBe(true);
  await ended;
  expect(isAlive({ pid, started: 'boot:1' })).toBe(false);
  expect(existsSync(path)).toBe(false);
  await expect(endByPidFile(path, 'sleep', 5000, never)).resolves.toBe(false);
});

test('a process that ignores SIGTERM is killed', async () => {
  const path = join(freshDir(), 'pid');
  const child = spawn('sh', ['-c', 'trap "" TERM; echo; while :; do sleep 1; done'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await once(child.stdout, 'data');
  const ended = once(child, 'exit');
  writePidFile(path, child.pid!);
  await endByPidFile(path, 'sh', 50, never);
  expect((await ended)[1]).toBe('SIGKILL');
});
