import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { markerFile } from '../../src/postgres/marker.ts';
import { emptyPgdata } from '../../src/postgres/prepare.ts';
import { scratchDir } from '../support/cluster.ts';
import { expectFresh, fill, prepare } from '../support/former-pgdata.ts';

// What only root can set up: these tests keep root, and so have directories of root.

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

let home: string;
let pgdata: string;
beforeEach(() => {
  home = scratchDir('prepare');
  pgdata = join(home, 'pgdata');
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

test.runIf(mayMount)('a mounted volume is emptied in place, one mounted inside stays', async () => {
  mkdirSync(pgdata);
  execFileSync('mount', ['-t', 'tmpfs', 'none', pgdata]);
  try {
    fill(pgdata);
    mkdirSync(join(pgdata, 'pg_wal'));
    execFileSync('mount', ['-t', 'tmpfs', 'none', join(pgdata, 'pg_wal')]);
    writeFileSync(join(pgdata, 'pg_wal', '000000010000000000000001'), 'x');
    await prepare(pgdata);
    expect(readdirSync(pgdata).sort()).toEqual([markerFile, 'pg_wal']);
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
    expect(readdirSync(pgdata).sort()).toEqual([markerFile, 'pg_wal']);
  } finally {
    execFileSync('umount', [join(pgdata, 'pg_wal')]);
  }
});

test.runIf(mayProtect)('what cannot be removed is an error that names it', async () => {
  await prepare(pgdata);
  fill(pgdata);
  execFileSync('chattr', ['+i', join(pgdata, 'PG_VERSION')]);
  try {
    await expect(emptyPgdata(pgdata, new AbortController().signal)).rejects.toMatchObject({
      code: 'pgdata_refused',
      message: expect.stringContaining('PG_VERSION') as string,
    });
  } finally {
    execFileSync('chattr', ['-i', join(pgdata, 'PG_VERSION')]);
  }
});
