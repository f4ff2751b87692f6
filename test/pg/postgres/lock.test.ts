import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { lockInside, lockPgdata } from '../../../src/postgres/lock.ts';
import { markerFile } from '../../../src/postgres/marker.ts';
import { emptyPgdata, preparePgdata } from '../../../src/postgres/prepare.ts';
import { scratchDir } from '../../support/cluster.ts';

const never = new AbortController().signal;
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

test('a place where nothing can be created is refused, and not tried for ever', async () => {
  for (const path of ['/proc/x', '/proc/self/x'])
    await expect(lockPgdata(path)).rejects.toMatchObject({
      code: 'pgdata_refused',
      message: expect.stringContaining('cannot be used (E') as string,
    });
});

test('a second lock names the holder, and the release lets it through', async () => {
  const lock = await lockPgdata(pgdata);
  await expect(lockPgdata(pgdata)).rejects.toMatchObject({
    code: 'pgdata_locked',
    message: expect.stringContaining(`pid ${process.pid}`) as string,
  });
  await lock.release();
  await lock.release();
  await (await lockPgdata(pgdata)).release();
});

test('the lock is the same by every name of the directory, and lasts when the directory is made anew', async () => {
  mkdirSync(join(home, 'real'));
  mkdirSync(join(home, 'real', 'pgdata'));
  symlinkSync('real', join(home, 'link'));
  const lock = await lockPgdata(join(home, 'link', 'pgdata'));
  rmSync(join(home, 'real', 'pgdata'), { recursive: true });
  await expect(lockPgdata(join(home, 'real', 'pgdata'))).rejects.toMatchObject({ code: 'pgdata_locked' });
  await expect(lockPgdata(`${home}/./real/pgdata/`)).rejects.toMatchObject({ code: 'pgdata_locked' });
  await lock.release();
});

test('where the directory above cannot be written the lock is inside, and lasts while the content is replaced', async () => {
  mkdirSync(pgdata);
  chmodSync(home, 0o500);
  try {
    const lock = await lockPgdata(pgdata);
    await preparePgdata(pgdata, never);
    await emptyPgdata(pgdata, never);
    await expect(lockPgdata(pgdata)).rejects.toMatchObject({ code: 'pgdata_locked' });
    await lock.release();
    await (await lockPgdata(pgdata)).release();
    expect(readdirSync(pgdata).sort()).toEqual([lockInside, markerFile]);
  } finally {
    chmodSync(home, 0o700);
  }
});

test.each([
  ['a symbolic link', (at: string) => symlinkSync('/tmp', at)],
  [
    'a symbolic link to a private directory',
    (at: string) => {
      mkdirSync(`${at}.private`, { mode: 0o700 });
      symlinkSync(`${at}.private`, at);
    },
  ],
  ['a fifo', (at: string) => execFileSync('mkfifo', [at])],
  ['a directory that others can use', (at: string) => (mkdirSync(at), chmodSync(at, 0o777))],
])('%s in place of the lock is refused', async (_, plant) => {
  plant(`${pgdata}.lock`);
  await expect(lockPgdata(pgdata)).rejects.toMatchObject({
    code: 'pgdata_refused',
    message: expect.stringContaining(`${pgdata}.lock`) as string,
  });
});

test('of many starters that find a dead holder one wins, each time', async () => {
  for (let round = 0; round < 20; round++) {
    const taken = await Promise.allSettled(Array.from({ length: 8 }, () => lockPgdata(pgdata)));
    const won = taken.filter((one) => one.status === 'fulfilled');
    expect(won).toHaveLength(1);
    await won[0]?.value.release();
  }
  expect(readdirSync(`${pgdata}.lock`).filter((name) => name.startsWith('new-'))).toEqual([]);
});

test('a path that is longer than a socket address may be is locked all the same', async () => {
  const long = join(home, 'x'.repeat(100), 'y'.repeat(100));
  mkdirSync(join(home, 'x'.repeat(100)));
  const lock = await lockPgdata(long);
  await expect(lockPgdata(long)).rejects.toMatchObject({ code: 'pgdata_locked' });
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
  const lock = await lockPgdata(pgdata);
  expect(JSON.parse(readFileSync(join(`${pgdata}.lock`, 'holder.json'), 'utf8'))).toMatchObject({
    pid: process.pid,
  });
  await lock.release();
});

test('a damaged note costs only the name of the holder', async () => {
  const lock = await lockPgdata(pgdata);
  writeFileSync(join(`${pgdata}.lock`, 'holder.json'), '{"pid":');
  await expect(lockPgdata(pgdata)).rejects.toThrow('in use by another compute_ctl');
  await lock.release();
});

test('a directory without a parent is refused clearly', async () => {
  await expect(lockPgdata(join(pgdata, 'deeper', 'down'))).rejects.toMatchObject({
    code: 'pgdata_refused',
    message: expect.stringContaining('does not exist') as string,
  });
});
