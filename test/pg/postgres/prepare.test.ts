import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  copyFormerSignal,
  createStandbySignal,
  linkDynamicSharedMemory,
} from '../../../src/postgres/files.ts';
import { emptyPgdata, preparePgdata } from '../../../src/postgres/prepare.ts';
import { scratchDir } from '../../support/cluster.ts';
import { osUser } from '../../support/postgres-versions.ts';

/** Containers often may not mount, nor make files immutable. */
function mayDo(program: string, on: readonly string[], off: readonly string[]): boolean {
  const dir = scratchDir('may');
  try {
    execFileSync(program, [...on, dir], { stdio: 'ignore' });
    execFileSync(off[0] ?? '', [...off.slice(1), dir], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
const mayMount = mayDo('mount', ['-t', 'tmpfs', 'none'], ['umount']);
const mayProtect = mayDo('chattr', ['+i'], ['chattr', '-i']);

const never = new AbortController().signal;
const uid = osUser?.uid ?? process.getuid?.();
const prepare = (path: string) => preparePgdata(path, osUser, never);

let home: string;
let pgdata: string;
beforeEach(() => {
  home = scratchDir('prepare');
  pgdata = join(home, 'pgdata');
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

function fill(dir: string): void {
  mkdirSync(join(dir, 'base', '1'), { recursive: true });
  writeFileSync(join(dir, 'PG_VERSION'), '15\n');
  writeFileSync(join(dir, 'base', '1', '1259'), 'x');
  symlinkSync('/etc', join(dir, 'link'));
}

function expectFresh(dir: string): void {
  expect(readdirSync(dir)).toEqual([]);
  expect(statSync(dir).mode & 0o777).toBe(0o700);
  expect(statSync(dir).uid).toBe(uid);
}

test('a data directory that is not there is made for the user of Postgres', async () => {
  expect((await prepare(pgdata)).path).toBe(pgdata);
  expectFresh(pgdata);
});

test('an old cluster is moved aside at once and removed later, with what a crash has left', async () => {
  fill(pgdata);
  fill(`${pgdata}.old-0123456789abcdef`);
  fill(`${pgdata}.old-20240101`); // of somebody else
  const { cleanUp } = await prepare(pgdata);
  expectFresh(pgdata);
  expect(readdirSync(home).length).toBe(4);
  await cleanUp(never);
  expect(readdirSync(home).sort()).toEqual(['pgdata', 'pgdata.old-20240101']);
  expect(statSync('/etc/passwd').isFile()).toBe(true);
});

test('a directory with other things in it is not touched', async () => {
  mkdirSync(pgdata);
  writeFileSync(join(pgdata, 'thesis.odt'), 'years of work');
  await expect(prepare(pgdata)).rejects.toMatchObject({
    code: 'pgdata_refused',
    message: expect.stringContaining('thesis.odt') as string,
    hint: expect.stringContaining('wipes') as string,
  });
  expect(readdirSync(pgdata)).toEqual(['thesis.odt']);
});

test('a fresh volume with lost+found is accepted, a file is not', async () => {
  mkdirSync(join(pgdata, 'lost+found'), { recursive: true });
  await prepare(pgdata);
  expect(readdirSync(pgdata)).toEqual(['lost+found']);
  writeFileSync(join(home, 'file'), '');
  await expect(prepare(join(home, 'file'))).rejects.toThrow('is a file');
});

test('a symbolic link stays, also when it leads nowhere yet', async () => {
  symlinkSync('elsewhere', pgdata);
  expect((await prepare(pgdata)).path).toBe(join(home, 'elsewhere'));
  fill(join(home, 'elsewhere'));
  const { cleanUp } = await prepare(pgdata);
  expect(readlinkSync(pgdata)).toBe('elsewhere');
  expectFresh(join(home, 'elsewhere'));
  await cleanUp(never);
  expect(readdirSync(home).sort()).toEqual(['elsewhere', 'pgdata']);
});

test.runIf(mayMount)('a mounted volume is emptied in place, one mounted inside stays', async () => {
  mkdirSync(pgdata);
  execFileSync('mount', ['-t', 'tmpfs', 'none', pgdata]);
  try {
    fill(pgdata);
    mkdirSync(join(pgdata, 'pg_wal'));
    execFileSync('mount', ['-t', 'tmpfs', 'none', join(pgdata, 'pg_wal')]);
    writeFileSync(join(pgdata, 'pg_wal', '000000010000000000000001'), 'x');
    await prepare(pgdata);
    expect(readdirSync(pgdata)).toEqual(['pg_wal']);
    expect(readdirSync(join(pgdata, 'pg_wal'))).toEqual([]);
    execFileSync('umount', [join(pgdata, 'pg_wal')]);
    fill(pgdata);
    await prepare(pgdata);
    expectFresh(pgdata);
  } finally {
    execFileSync('umount', [pgdata]);
  }
});

test.runIf(mayMount)('a data directory with a volume mounted inside is not moved aside', async () => {
  fill(pgdata);
  mkdirSync(join(pgdata, 'pg_wal'));
  execFileSync('mount', ['-t', 'tmpfs', 'none', join(pgdata, 'pg_wal')]);
  try {
    await prepare(pgdata);
    expect(readdirSync(home)).toEqual(['pgdata']);
    expect(readdirSync(pgdata)).toEqual(['pg_wal']);
  } finally {
    execFileSync('umount', [join(pgdata, 'pg_wal')]);
  }
});

test('between two tries of a base backup everything goes, the directory stays', async () => {
  await prepare(pgdata);
  const { ino } = statSync(pgdata);
  fill(pgdata);
  await emptyPgdata(pgdata, never);
  expectFresh(pgdata);
  expect(statSync(pgdata).ino).toBe(ino);
});

test.runIf(mayProtect)('what cannot be removed is an error that names it', async () => {
  await prepare(pgdata);
  fill(pgdata);
  execFileSync('chattr', ['+i', join(pgdata, 'PG_VERSION')]);
  try {
    await expect(emptyPgdata(pgdata, never)).rejects.toMatchObject({
      code: 'pgdata_refused',
      message: expect.stringContaining('PG_VERSION') as string,
    });
  } finally {
    execFileSync('chattr', ['-i', join(pgdata, 'PG_VERSION')]);
  }
});

test.runIf(osUser !== null)('a parent that the user of Postgres cannot enter is named', async () => {
  chmodSync(home, 0o700);
  mkdirSync(join(home, 'closed'), { mode: 0o700 }); // root's
  await expect(prepare(join(home, 'closed', 'pgdata'))).rejects.toMatchObject({
    code: 'pgdata_refused',
    message: `the Postgres user (uid ${uid}) cannot enter ${home}/closed`,
  });
});

test('the small files of a data directory are made once and belong to the user of Postgres', async () => {
  await prepare(pgdata);
  await expect(linkDynamicSharedMemory(pgdata, osUser)).rejects.toMatchObject({ code: 'basebackup' });
  mkdirSync(join(pgdata, 'pg_dynshmem'));
  await linkDynamicSharedMemory(pgdata, osUser);
  await linkDynamicSharedMemory(pgdata, osUser);
  expect(readlinkSync(join(pgdata, 'pg_dynshmem'))).toBe('/dev/shm/');
  expect(await copyFormerSignal(pgdata, osUser)).toBe(false);
  writeFileSync(join(pgdata, 'zenith.signal'), 'PREV LSN: none');
  expect(await copyFormerSignal(pgdata, osUser)).toBe(true);
  expect(await copyFormerSignal(pgdata, osUser)).toBe(false);
  await createStandbySignal(pgdata, osUser);
  for (const name of ['pg_dynshmem', 'neon.signal', 'standby.signal']) {
    expect(lstatSync(join(pgdata, name)).uid).toBe(uid);
  }
});
