import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { never } from '../../../../src/core/abort.ts';
import { sleep } from '../../../../src/core/clock.ts';
import { socketLock, untilLocked } from '../../../../src/local/storage/socket-lock.ts';

function tempDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'socket-lock-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  return dir;
}

const at = (dir: string) => ({ dir, port: 5432 });

test('a server that has the socket already is seen at once', async () => {
  const dir = tempDir();
  writeFileSync(socketLock(at(dir)), '');
  await untilLocked(at(dir), never);
});

test('a server that comes later is seen, also in a directory that comes later, or takes the place of another', async () => {
  const dir = join(tempDir(), 'run');
  let seen = false;
  const waiting = untilLocked(at(dir), never).then(() => (seen = true));
  await sleep(60, never);
  mkdirSync(dir);
  writeFileSync(join(dir, 'something else'), '');
  await sleep(60, never);
  renameSync(dir, `${dir}-before`);
  mkdirSync(dir);
  expect(seen).toBe(false);
  writeFileSync(socketLock(at(dir)), '');
  await waiting;
});

test('waiting ends with its signal', async () => {
  const abort = new AbortController();
  const waiting = untilLocked(at(tempDir()), abort.signal);
  abort.abort(new Error('stopped'));
  await expect(waiting).rejects.toThrow('stopped');
});
