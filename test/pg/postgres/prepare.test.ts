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
import { markerFile } from '../../../src/postgres/marker.ts';
import { emptyPgdata, preparePgdata } from '../../../src/postgres/prepare.ts';
import { scratchDir } from '../../support/cluster.ts';
import { expectFresh, fill, prepare } from '../../support/former-pgdata.ts';

const never = new AbortController().signal;
const uid = process.getuid?.();

let home: string;
let pgdata: string;
beforeEach(() => {
  home = scratchDir('prepare');
  pgdata = join(home, 'pgdata');
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

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
  expect(readdirSync(pgdata).sort()).toEqual([markerFile, 'lost+found']);
  writeFileSync(join(home, 'file'), '');
  await expect(prepare(join(home, 'file'))).rejects.toThrow('is a file');
});

test('a symbolic link in place of the data directory is refused and stays', async () => {
  mkdirSync(join(home, 'elsewhere'));
  fill(join(home, 'elsewhere'));
  symlinkSync('elsewhere', pgdata);
  await expect(prepare(pgdata)).rejects.toMatchObject({
    code: 'pgdata_refused',
    message: expect.stringContaining('is a symbolic link') as string,
  });
  expect(readlinkSync(pgdata)).toBe('elsewhere');
  expect(readdirSync(join(home, 'elsewhere'))).toContain('PG_VERSION');
});

test('a stopped cluster that compute_ctl did not create is refused, unless it is allowed', async () => {
  fill(pgdata);
  rmSync(join(pgdata, markerFile));
  await expect(prepare(pgdata)).rejects.toMatchObject({
    code: 'pgdata_refused',
    message: expect.stringContaining('was not created by compute_ctl') as string,
  });
  expect(readdirSync(pgdata)).toContain('PG_VERSION');
  await preparePgdata(pgdata, never, { wipeForeign: true });
  expectFresh(pgdata);
});

test('a marker that is a link or a directory is not a marker', async () => {
  for (const plant of [(at: string) => symlinkSync('/etc/passwd', at), (at: string) => mkdirSync(at)]) {
    rmSync(pgdata, { recursive: true, force: true });
    fill(pgdata);
    rmSync(join(pgdata, markerFile));
    plant(join(pgdata, markerFile));
    await expect(prepare(pgdata)).rejects.toThrow('was not created by compute_ctl');
  }
});

test('a link planted as an old data directory is not followed when those are removed', async () => {
  const target = join(home, 'target');
  fill(target);
  symlinkSync(target, `${pgdata}.old-0123456789abcdef`);
  const { cleanUp } = await prepare(pgdata);
  await cleanUp(never);
  expect(readdirSync(target)).toContain('PG_VERSION');
});

test('between two tries of a base backup everything goes, the directory stays', async () => {
  await prepare(pgdata);
  const { ino } = statSync(pgdata);
  fill(pgdata);
  await emptyPgdata(pgdata, never);
  expectFresh(pgdata);
  expect(statSync(pgdata).ino).toBe(ino);
});

test('a parent that the user of Postgres cannot enter is named', async () => {
  chmodSync(home, 0o700);
  mkdirSync(join(home, 'closed'), { mode: 0o600 });
  await expect(prepare(join(home, 'closed', 'pgdata'))).rejects.toMatchObject({
    code: 'pgdata_refused',
    message: `the Postgres user (uid ${uid}) cannot enter ${home}/closed`,
  });
});

test('the small files of a data directory are made once and belong to the user of Postgres', async () => {
  await prepare(pgdata);
  await expect(linkDynamicSharedMemory(pgdata)).rejects.toMatchObject({ code: 'basebackup' });
  mkdirSync(join(pgdata, 'pg_dynshmem'));
  await linkDynamicSharedMemory(pgdata);
  await linkDynamicSharedMemory(pgdata);
  expect(readlinkSync(join(pgdata, 'pg_dynshmem'))).toBe('/dev/shm/');
  expect(copyFormerSignal(pgdata)).toBe(false);
  writeFileSync(join(pgdata, 'zenith.signal'), 'PREV LSN: none');
  expect(copyFormerSignal(pgdata)).toBe(true);
  expect(copyFormerSignal(pgdata)).toBe(false);
  createStandbySignal(pgdata);
  for (const name of ['pg_dynshmem', 'neon.signal', 'standby.signal']) {
    expect(lstatSync(join(pgdata, name)).uid).toBe(uid);
  }
});
