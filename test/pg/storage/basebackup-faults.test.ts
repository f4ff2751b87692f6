import { chmodSync, readdirSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { explained } from '../../../src/core/errors.ts';
import { Secret } from '../../../src/core/secret.ts';
import {
  type PageserverScript,
  type TarballEntry,
  corrupted,
  makeTarball,
  truncated,
} from '../../support/fake-storage.ts';
import { BackupFixture, complete, failureOf, fetchBackup, noise } from '../../support/fake-storage-backup.ts';

let fixture: BackupFixture;
beforeEach(() => {
  fixture = new BackupFixture();
});
afterEach(() => fixture.stop());

describe('every fault ends in a clear error and a clean PGDATA:', () => {
  test.each<[string, Partial<PageserverScript>, string]>([
    ['silent', { fault: 'silent' }, 'nothing arrived for 500 ms'],
    ['silent before the log-in', { fault: 'silent-login' }, 'could not connect'],
    ['error before', { fault: 'error-before' }, 'injected'],
    ['error in the middle', { fault: 'error-middle' }, 'injected'],
    ['error after the end', { fault: 'error-after' }, 'injected'],
    ['cut in the middle', { fault: 'cut-middle' }, 'terminated'],
    ['cut after the end', { fault: 'cut-after' }, 'terminated'],
    ['stalled', { fault: 'stall-middle' }, 'nothing arrived for 500 ms'],
    ['half-closed', { fault: 'half-close' }, 'terminated'],
    ['no CopyDone', { fault: 'no-copy-done' }, 'nothing arrived for 500 ms'],
    ['no copy at all', { fault: 'no-copy' }, 'archive'],
    ['another protocol', { fault: 'garbage' }, ''],
    ['wrong token', { token: 'other' }, 'JWT authentication error'],
  ])('%s', async (_, script, reason) => {
    const fake = await fixture.pageserver(script);
    const said = await failureOf(fixture.context([fake.url], { token: new Secret('mine') }));
    expect(said).toMatch(/^failed to get basebackup@0\/169B1D8: .*127\.0\.0\.1:/);
    expect(said).toContain(reason);
    expect(said).not.toContain('mine');
    expect(readdirSync(fixture.pgdata)).toEqual([]);
  });

  const without = (name: string): TarballEntry[] => complete.filter((entry) => entry.name !== name);
  test.each<[string, () => Promise<Buffer>, string]>([
    ['truncated', async () => truncated(await makeTarball(complete)), 'damaged or cut off'],
    ['corrupt checksum', async () => corrupted(await makeTarball(complete)), 'damaged or cut off'],
    ['no gzip', () => makeTarball(complete, { gzip: false }), 'damaged or cut off'],
    ['empty', async () => Buffer.alloc(0), 'archive'],
    [
      'garbage behind it',
      async () => Buffer.concat([await makeTarball(complete), noise.subarray(1)]),
      'damaged',
    ],
    [
      'a zero and garbage behind it',
      async () => Buffer.concat([await makeTarball(complete), noise]),
      'damaged',
    ],
    ['no pg_control', () => makeTarball(without('global/pg_control')), 'global/pg_control is missing'],
    ['no WAL', () => makeTarball(without('pg_wal/000000010000000000000001')), 'a WAL segment is missing'],
    ['leads out', () => makeTarball([{ name: '../evil', body: 'x' }, ...complete]), '"../evil" is refused'],
    ['leads out in the middle', () => makeTarball([{ name: 'a/../../evil' }, ...complete]), 'leads out'],
    [
      'link',
      () => makeTarball([{ name: 'base', type: 'symlink', linkname: '/var/tmp' }, ...complete]),
      'only tablespaces may be symbolic links',
    ],
    [
      'through a link',
      () =>
        makeTarball([
          { name: 'pg_tblspc/1', type: 'symlink', linkname: fixture.home },
          { name: 'pg_tblspc/1/evil', body: 'x' },
        ]),
      'leads through a link',
    ],
    [
      'hard link',
      () => makeTarball([{ name: 'evil', type: 'link', linkname: '/etc/passwd' }, ...complete]),
      'hard link',
    ],
    ['device', () => makeTarball([{ name: 'evil', type: 'character-device' }]), 'neither a file nor'],
    ['file below a file', () => makeTarball([{ name: 'a', body: 'x' }, { name: 'a/b' }]), 'refused'],
    [
      'file in place of a directory',
      () => makeTarball([{ name: 'a/b' }, { name: 'a', body: 'x' }]),
      'refused',
    ],
    ['NUL in a name', () => makeTarball([{ name: 'ä\0b'.repeat(60), body: 'x' }]), ''],
  ])('archive: %s', async (_, tarball, reason) => {
    const fake = await fixture.pageserver({ tarball: await tarball() });
    const said = await failureOf(fixture.context([fake.url]));
    expect(said).toContain(reason);
    expect(readdirSync(fixture.home)).toEqual(['pgdata']);
    expect(readdirSync(fixture.pgdata)).toEqual([]);
    expect(fixture.emptied).toBe(1);
  });
});

test('a data directory that cannot be written is not blamed on the pageserver, is not tried again, and has a hint', async () => {
  const fake = await fixture.pageserver();
  chmodSync(fixture.pgdata, 0o500);
  const context = fixture.context([fake.url], { limits: { retries: 3 } });
  const said = await fetchBackup(context).then(() => 'it succeeded', explained);
  chmodSync(fixture.pgdata, 0o700);
  expect(said).toMatch(/cannot write .*EACCES.*\(HINT: .*permission/);
  expect(said).not.toContain('pageserver');
  expect(fake.commands).toHaveLength(1);
});
