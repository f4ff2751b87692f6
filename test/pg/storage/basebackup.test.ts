import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { noLsn } from '../../../src/core/lsn.ts';
import { Secret } from '../../../src/core/secret.ts';
import { basebackupRetries, openPageserver } from '../../../src/storage/basebackup.ts';
import { freePort } from '../../support/cluster.ts';
import { type TarballEntry, makeTarball } from '../../support/fake-storage.ts';
import {
  BackupFixture,
  complete,
  failureOf,
  fetchBackup,
  lsn,
  never,
  noise,
} from '../../support/fake-storage-backup.ts';

let fixture: BackupFixture;
beforeEach(() => {
  fixture = new BackupFixture();
});
afterEach(() => fixture.stop());

test('a base backup lands in PGDATA with modes, owner and figures', async () => {
  const fake = await fixture.pageserver();
  writeFileSync(join(fixture.pgdata, 'postgresql.conf'), 'ours');
  const figures = await fetchBackup(fixture.context([fake.url]));
  expect(figures.bytes).toBe(fake.script.tarball.length);
  expect(figures.connectMicros).toBeGreaterThan(0);
  expect(readFileSync(join(fixture.pgdata, 'base/1/1')).equals(noise)).toBe(true);
  expect(readFileSync(join(fixture.pgdata, 'neon.signal'), 'utf8')).toBe('PREV LSN: none');
  expect(statSync(join(fixture.pgdata, 'PG_VERSION')).mode & 0o777).toBe(0o600);
  expect(statSync(join(fixture.pgdata, 'global')).mode & 0o777).toBe(0o755);
  for (const name of ['PG_VERSION', 'global', 'pg_wal', 'neon.signal']) {
    expect(statSync(join(fixture.pgdata, name)).uid).toBe(process.getuid?.());
  }
  expect(readFileSync(join(fixture.pgdata, 'postgresql.conf'), 'utf8')).toBe('ours');
  expect(fixture.emptied).toBe(0);
});

test.each([
  ['primary', lsn, 'basebackup t l 0/169B1D8 --gzip'],
  ['primary', noLsn, 'basebackup t l --gzip'],
  ['static', lsn, 'basebackup t l 0/169B1D8 --gzip --replica'],
  ['replica', noLsn, 'basebackup t l --gzip --replica'],
] as const)('a %s at %s asks for %j', async (mode, at, command) => {
  const fake = await fixture.pageserver({ token: 'secret' });
  await fetchBackup(fixture.context([fake.url], { mode, token: new Secret('secret') }), at);
  expect(fake.commands).toEqual([command]);
  const [login] = fake.logins;
  expect(login?.get('application_name')).toBe('compute_ctl');
  expect(login?.get('options')).toBe(`-c neon.compute_mode=${mode}`);
});

test('a tablespace link is kept and absolute names land inside', async () => {
  const entries: TarballEntry[] = [
    ...complete,
    { name: 'pg_tblspc/16384', type: 'symlink', linkname: '/srv/space' },
    { name: '/etc/passwd', body: 'harmless' },
  ];
  const fake = await fixture.pageserver({ tarball: await makeTarball(entries) });
  await fetchBackup(fixture.context([fake.url]));
  expect(readFileSync(join(fixture.pgdata, 'etc/passwd'), 'utf8')).toBe('harmless');
  expect(readdirSync(join(fixture.pgdata, 'pg_tblspc'))).toEqual(['16384']);
});

test('several gzip members and archives in one stream are all read', async () => {
  const more = await makeTarball([{ name: 'later', body: 'x' }]);
  const fake = await fixture.pageserver({ tarball: Buffer.concat([await makeTarball(complete), more]) });
  await fetchBackup(fixture.context([fake.url]));
  expect(existsSync(join(fixture.pgdata, 'later'))).toBe(true);
});

test('a fault that passes is tried again, in an emptied PGDATA', async () => {
  const fake = await fixture.pageserver({ fault: 'error-middle', faults: 2 });
  await fetchBackup(fixture.context([fake.url], { limits: { retries: 10 } }));
  expect(fake.commands).toHaveLength(3);
  expect(fixture.emptied).toBe(2);
});

test.each([
  ['XX000', 'not found'],
  ['XX000', 'Not found: timeline l'],
  ['28P01', 'no'],
  ['XX000', 'JWT authentication error'],
  ['XX000', 'Unauthorized: other tenant'],
])('%s %j is not retryable', async (sqlstate, message) => {
  const fake = await fixture.pageserver({ fault: 'error-before', error: { sqlstate, message } });
  expect(await failureOf(fixture.context([fake.url], { limits: { retries: 10 } }))).toContain(message);
  expect(fake.commands).toHaveLength(1);
});

test('the total limit ends an attempt and waits until PGDATA is clean', async () => {
  const fake = await fixture.pageserver({ fault: 'stall-middle' });
  const limits = { retries: 10, idleMs: 60_000, totalMs: 300 };
  expect(await failureOf(fixture.context([fake.url], { limits }))).toContain('the base backup took longer');
  expect(readdirSync(fixture.pgdata)).toEqual([]);
});

test('an abort ends a stalled backup, and PGDATA is clean', async () => {
  const fake = await fixture.pageserver({ fault: 'stall-middle' });
  const stalled = openPageserver(fixture.context([fake.url], { limits: { idleMs: 60_000 } }), never);
  const stop = new AbortController();
  const fetching = stalled.fetch(lsn, stop.signal).catch((error: unknown) => error);
  await expect.poll(() => fake.commands.length).toBe(1);
  await expect.poll(() => readdirSync(fixture.pgdata).length).toBeGreaterThan(0);
  stop.abort();
  expect(await fetching).toMatchObject({ name: 'AbortError' });
  expect(readdirSync(fixture.pgdata)).toEqual([]);
});

test('the second pageserver of the shard helps when the first is down', async () => {
  const fake = await fixture.pageserver();
  await fetchBackup(fixture.context([`postgresql://no_user@127.0.0.1:${await freePort()}`, fake.url]));
  expect(fake.commands).toHaveLength(1);
});

test.each(['127.0.0.1:64000', 'http://127.0.0.1:51051', 'postgresql://h?nonsense=1', ''])(
  'the malformed URL %j is not retryable',
  async (url) => {
    expect(await failureOf(fixture.context([url], { limits: { retries: 10 } }))).toContain(
      'connection string',
    );
  },
);

test('a connection opened ahead is used, and one that the server closed meanwhile is replaced', async () => {
  const fake = await fixture.pageserver();
  const open = openPageserver(fixture.context([fake.url]), never);
  await expect.poll(() => fake.logins.length).toBe(1);
  await open.fetch(lsn, never);
  expect(fake.logins).toHaveLength(1);
  const unused = openPageserver(fixture.context([fake.url]), never);
  await expect.poll(() => fake.logins.length).toBe(2);
  unused.close();
});

test.each([
  [undefined, 10],
  ['0', 0],
  ['65535', 65_535],
  ['65536', 10],
  ['x', 10],
])('NEON_COMPUTE_TESTING_BASEBACKUP_RETRIES=%s means %i retries', (text, retries) => {
  const env = text === undefined ? {} : { NEON_COMPUTE_TESTING_BASEBACKUP_RETRIES: text };
  expect(basebackupRetries(env)).toBe(retries);
});
