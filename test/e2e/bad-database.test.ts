import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { withPg } from '../../src/pg/client.ts';
import { scratchDir, startCluster } from '../support/cluster.ts';
import { type Rig, rig } from '../support/compute.ts';
import { osUser } from '../support/postgres-versions.ts';
import { eventually } from '../support/program.ts';

const signal = new AbortController().signal;
const session = { applicationName: 'test', connectMs: 5000, queryMs: 5000, signal };

let home: string;
/** A storage in which two databases have no directory. */
let backup: Buffer;
/** The same, and the pg_class of one has nothing but zeros, with which Postgres crashes. */
let crashing: Buffer;
/** Their OIDs. */
const bad = new Map<string, string>();

beforeAll(async () => {
  home = scratchDir('bad');
  const cluster = await startCluster();
  try {
    await withPg(cluster.target, session, async (pg) => {
      for (const name of ['gone', 'lost', 'zeroed', 'fine']) await pg.query(`create database ${name}`);
      const { rows } = await pg.query<{ name: string; oid: string }>(
        `select datname as name, oid::text from pg_database where datname in ('gone', 'lost')`,
      );
      for (const { name, oid } of rows) bad.set(name, oid);
    });
    const zeroed = await withPg({ ...cluster.target, database: 'zeroed' }, session, async (pg) => {
      const { rows } = await pg.query<{ path: string }>(`select pg_relation_filepath('pg_class') as path`);
      return join(cluster.dataDir, rows[0]?.path ?? '');
    });
    cluster.postmaster.kill('SIGINT');
    await once(cluster.postmaster, 'exit');
    cpSync(join(cluster.dataDir, 'base'), join(home, 'base'), { recursive: true });
    const without = [
      './postgresql.conf',
      './postmaster.*',
      ...[...bad.values()].map((oid) => `./base/${oid}`),
    ];
    const args = ['czf', '-', ...without.map((one) => `--exclude=${one}`), '-C', cluster.dataDir, '.'];
    const pack = (): Buffer => execFileSync('tar', args, { maxBuffer: 1 << 28 });
    backup = pack();
    writeFileSync(zeroed, Buffer.alloc(readFileSync(zeroed).length));
    rmSync(join(dirname(zeroed), 'pg_internal.init'), { force: true });
    crashing = pack();
  } finally {
    await cluster.stop();
  }
});
afterAll(() => rmSync(home, { recursive: true, force: true }));

let it: Rig;
beforeEach(async () => {
  it = await rig();
  it.pageserver.script.tarball = backup;
});
afterEach(() => it.stop());

const names = ['gone', 'lost'];
const spec = (...more: string[]): Record<string, unknown> => {
  const made = it.spec();
  const cluster = made['cluster'] as { databases: object[] };
  cluster.databases = [...names, 'fine', ...more].map((name) => ({
    name,
    owner: 'cloud_admin',
    options: null,
  }));
  return made;
};
const mend = (): void => {
  for (const oid of bad.values()) {
    const to = join(it.pgdata, 'base', oid);
    cpSync(join(home, 'base', oid), to, { recursive: true, force: true });
    if (osUser !== null) execFileSync('chown', ['-R', `${osUser.uid}:${osUser.gid}`, to]);
  }
};
interface Named {
  name: string;
  error: string;
  sqlstate: string | null;
  failures: number;
  next_try: string | null;
}
interface Status {
  status: string;
  error: string | null;
  failed_databases?: Named[];
  services?: Record<string, { state: string; error: string | null }>;
}
const status = async (): Promise<Status> => (await it.http('GET', '/status')).json();
const named = async (): Promise<string[] | undefined> =>
  (await status()).failed_databases?.map(({ name }) => name);
const metric = async (): Promise<string | undefined> =>
  /^compute_ctl_failed_databases (.*)$/m.exec((await it.http('GET', '/metrics')).body)?.[1];
/** The pass came to the database: what it grants is there. */
const isDone = (database: string): Promise<boolean> =>
  withPg(
    { host: '127.0.0.1', port: it.port, user: 'cloud_admin', password: null, database, options: '' },
    session,
    async (pg) => {
      const { rows } = await pg.query<{ n: number }>('select count(*)::int n from pg_default_acl');
      return rows[0]?.n === 2;
    },
  );

const crashesOf = (program: { stderr(): string }) => (): number =>
  program.stderr().split('was terminated by signal 6').length - 1;

test('a compute runs although databases are corrupt, names them, and mends itself when they are whole again', async () => {
  const program = it.start({ spec: spec('made') });
  expect(await it.until('running')).toMatchObject({ error: null });
  const found = (await status()).failed_databases ?? [];
  expect(found.map(({ name }) => name)).toEqual(names);
  expect(found[0]).toMatchObject({ sqlstate: '3D000', failures: 1 });
  expect(found[0]?.error).toContain('database "gone" does not exist');
  expect(Date.parse(found[0]?.next_try ?? '')).toBeGreaterThan(Date.now() - 60_000);
  expect(await metric()).toBe('2');
  expect((await it.http('GET', '/readyz')).status).toBe(200);
  for (const name of ['fine', 'made']) expect(await isDone(name)).toBe(true);
  for (const name of names)
    expect(program.stderr()).toMatch(
      new RegExp(
        `database \\\\?"${name}\\\\?" is not as the spec asks.* next try in \\d+ s, at \\S+Z: .*${name}`,
      ),
    );
  mend();
  await eventually(
    'no database failed',
    async () => ((await named()) === undefined ? true : undefined),
    60_000,
  );
  expect(await status()).toMatchObject({ status: 'running', error: null });
  expect(await metric()).toBe('0');
  for (const name of names) expect(await isDone(name)).toBe(true);
  expect(program.stderr()).toMatch(/databases are as the spec asks now: .*gone.*lost/);
  program.kill('SIGTERM');
  expect(await program.exited()).toBe(0);
});

test('a configuration names the databases that fail, does the others, and takes the place of the retry', async () => {
  const program = it.start({ spec: spec() });
  await it.until('running');
  const answer = await it.http('POST', '/configure', it.config(spec('another')));
  expect(answer.status).toBe(500);
  for (const name of names) expect(answer.body).toContain(name);
  expect(await isDone('another')).toBe(true);
  expect(await named()).toEqual(names);
  expect((await status()).failed_databases?.map(({ next_try }) => next_try)).toEqual([null, null]);
  mend();
  expect((await it.http('POST', '/configure', it.config(spec('another')))).status).toBe(200);
  expect(await status()).toMatchObject({ status: 'running', error: null });
  expect(await named()).toBeUndefined();
  expect(program.stderr()).not.toContain('databases are as the spec asks now');
});

test('a first spec that comes by HTTP is a start: it is answered with 200 and the names', async () => {
  const program = it.start({ spec: null });
  await it.until('empty');
  const answer = await it.http('POST', '/configure', it.config(spec()));
  expect(answer.status).toBe(200);
  const { failed_databases: found } = answer.json<{ failed_databases: Named[] }>();
  expect(found.map(({ name }) => name)).toEqual(names);
  program.kill('SIGTERM');
  expect(await program.exited()).toBe(0);
});

test('a database that makes Postgres crash keeps the compute from nothing else, and does not make it crash again', async () => {
  it.pageserver.script.tarball = crashing;
  const program = it.start({ spec: spec('zeroed', 'made') });
  await it.until('running', 60_000);
  const found = (await status()).failed_databases ?? [];
  expect(found.map(({ name }) => name)).toEqual([...names, 'zeroed']);
  expect(found[2]?.error).toContain('made Postgres crash');
  expect(found[2]?.next_try).toBeNull();
  for (const name of ['fine', 'made']) expect(await isDone(name)).toBe(true);
  const crashes = crashesOf(program);
  expect(crashes()).toBe(1);
  mend();
  await eventually(
    'only that one is left',
    async () => ((await named())?.length === 1 ? true : undefined),
    60_000,
  );
  expect(await named()).toEqual(['zeroed']);
  expect(crashes()).toBe(1);
  expect(
    await eventually(
      'its last line',
      () => /"?zeroed.*not tried again before the next start/.exec(program.stderr()) ?? undefined,
    ),
  ).toBeTruthy();
  program.kill('SIGTERM');
  expect(await program.exited()).toBe(0);
});

test('a database that nobody has asked for makes Postgres crash only once while extensions are counted', async () => {
  it.pageserver.script.tarball = crashing;
  const program = it.start({ spec: spec() });
  await it.until('running', 60_000);
  const crashes = crashesOf(program);
  const counted = (): Promise<string> =>
    eventually(
      'extensions are counted',
      async () => {
        const { state, error } = (await status()).services?.['installed-extensions'] ?? {};
        return state === 'degraded' ? (error ?? '') : undefined;
      },
      60_000,
    );
  expect(await counted()).toMatch(/\d+ databases are not counted/);
  await eventually('its log tells of the crash', () => (crashes() === 1 ? true : undefined), 60_000);
  const rounds = (): number => program.stderr().split('[NEON_EXT_STAT]').length - 1;
  const before = rounds();
  mend();
  await eventually(
    'Postgres accepts connections again',
    async () => ((await it.http('GET', '/readyz')).status === 200 ? true : undefined),
    60_000,
  );
  expect((await it.http('POST', '/configure', it.config(spec()))).status).toBe(200);
  await eventually('they are counted again', () => (rounds() > before ? true : undefined), 60_000);
  expect(crashes()).toBe(1);
});
