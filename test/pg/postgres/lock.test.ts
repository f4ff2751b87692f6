import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { lockPgdata } from '../../../src/postgres/lock.ts';
import { scratchDir } from '../../support/cluster.ts';

let home: string;
let pgdata: string;
beforeEach(() => {
  home = scratchDir('lock');
  pgdata = join(home, 'pgdata');
});
afterEach(() => rmSync(home, { recursive: true }));

async function holder(): Promise<ChildProcess> {
  const outfile = join(home, 'holder.mjs');
  const entry = fileURLToPath(new URL('lock-holder.ts', import.meta.url));
  await build({
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    logLevel: 'silent',
  });
  const child = spawn(process.execPath, [outfile, pgdata], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout as NodeJS.ReadableStream, 'data');
  return child;
}

test('a second lock names the holder, and the release lets it through', async () => {
  const lock = await lockPgdata(pgdata);
  await expect(lockPgdata(pgdata)).rejects.toMatchObject({
    code: 'pgdata_locked',
    message: expect.stringContaining(`pid ${process.pid}`) as string,
  });
  await lock.release();
  await lock.release();
  expect(existsSync(`${pgdata}.lock`)).toBe(false);
  await (await lockPgdata(pgdata)).release();
});

test('the lock is the same by every name of the directory, and lasts when the directory is made anew', async () => {
  mkdirSync(join(home, 'real'));
  symlinkSync('real', pgdata);
  const lock = await lockPgdata(pgdata);
  rmSync(join(home, 'real'), { recursive: true });
  await expect(lockPgdata(join(home, 'real'))).rejects.toMatchObject({ code: 'pgdata_locked' });
  await expect(lockPgdata(`${home}/./pgdata/`)).rejects.toMatchObject({ code: 'pgdata_locked' });
  await lock.release();
});

test('a holder that was killed, even while stopped, leaves no lock', async () => {
  const child = await holder();
  try {
    child.kill('SIGSTOP');
    await expect(lockPgdata(pgdata)).rejects.toThrow(`compute_ctl with pid ${child.pid}`);
  } finally {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  expect(existsSync(`${pgdata}.lock`)).toBe(true);
  const lock = await lockPgdata(pgdata);
  expect(JSON.parse(readFileSync(`${pgdata}.lock`, 'utf8'))).toMatchObject({ pid: process.pid });
  await lock.release();
});

test('a damaged note costs only the name of the holder', async () => {
  const lock = await lockPgdata(pgdata);
  writeFileSync(`${pgdata}.lock`, '{"pid":');
  await expect(lockPgdata(pgdata)).rejects.toThrow('in use by another compute_ctl');
  await lock.release();
});

test('a directory without a parent is refused clearly', async () => {
  await expect(lockPgdata(join(pgdata, 'deeper', 'down'))).rejects.toMatchObject({
    code: 'pgdata_refused',
    message: expect.stringContaining('does not exist') as string,
  });
});
