import { setMaxListeners } from 'node:events';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type DatabaseApi, ownDatabase } from '../../../src/database/api.ts';
import { SessionLimit } from '../../../src/database/session-limit.ts';
import { osUser } from '../../support/postgres-versions.ts';
import { type Cluster, startCluster } from '../../support/cluster.ts';
import { eventually } from '../../support/program.ts';
import { figure, never, run, session } from '../monitor/support.ts';

let cluster: Cluster;
let api: DatabaseApi;

beforeAll(async () => {
  cluster = await startCluster({ conf: 'max_connections=20' });
  const { bindir, major } = cluster.postgres;
  const bin = { path: '', dir: bindir, major, version: '', sibling: (name: string) => join(bindir, name) };
  const settings = { target: cluster.target, bin, runAs: osUser, env: {}, pgdata: cluster.dataDir };
  api = ownDatabase(settings, pino({ level: 'silent' }));
  await run(cluster.target, 'create database app', 'create database other', 'create role reader nologin');
  for (const database of ['app', 'other']) {
    await run(
      { ...cluster.target, database },
      ...Array.from({ length: 100 }, (_, at) => `create schema s${at}`),
    );
  }
});
afterAll(() => cluster.stop());

const grant = (database: string, schema: string, signal = never): Promise<void> =>
  api.grant({ database, schema, privileges: ['USAGE'], role: 'reader' }, signal);

/** The most sessions that were ever there at a time with one of our names, until `work` is over. */
async function most(work: Promise<unknown>): Promise<number> {
  let [highest, over] = [0, false];
  void work.finally(() => (over = true)).catch(() => {});
  await session(cluster.target, async (pg) => {
    while (!over) {
      const { rows } = await pg.query<{ n: number }>(
        `select count(*)::int n from pg_stat_activity where application_name like 'compute_ctl:%'`,
      );
      highest = Math.max(highest, rows[0]?.n ?? 0);
    }
  });
  return highest;
}

test('of 200 concurrent /grants none fails because of the others, on a server with 20 connections', async () => {
  const startMs = performance.now();
  const asked = Promise.allSettled(
    Array.from({ length: 200 }, (_, at) => grant(at % 2 === 0 ? 'app' : 'other', `s${at >> 1}`)),
  );
  const highest = await most(asked);
  const failures = (await asked).filter(({ status }) => status === 'rejected');
  figure('200 /grants at once, ms', performance.now() - startMs);
  figure('their most sessions at a time', highest);
  expect(failures).toEqual([]);
  expect(highest).toBeGreaterThan(0);
  // Four are granted; a session that was said goodbye to may be seen for a moment longer.
  expect(highest).toBeLessThan(12);
  const rights = await session({ ...cluster.target, database: 'other' }, (pg) =>
    pg.query(
      `select 1 from pg_namespace where nspname ~ '^s\\d' and has_schema_privilege('reader', oid, 'usage')`,
    ),
  );
  expect(rights.rowCount).toBe(100);
});

test('a lock in one database does not delay the grants in another, and its holder is named', async () => {
  await session({ ...cluster.target, database: 'app' }, async (pg) => {
    const { rows } = await pg.query<{ pid: number }>('select pg_backend_pid() as pid');
    await pg.query('begin; lock table pg_catalog.pg_namespace in exclusive mode');
    const stuck = Array.from({ length: 20 }, (_, at) =>
      api.grant({ database: 'app', schema: `s${at}`, privileges: ['CREATE'], role: 'reader' }, never),
    );
    const first = Promise.race(stuck);
    const outcome = first.catch((error: unknown) => error);
    const free = await Promise.allSettled(
      Array.from({ length: 40 }, (_, at) =>
        api.grant({ database: 'other', schema: `s${at}`, privileges: ['CREATE'], role: 'reader' }, never),
      ),
    );
    expect(free.filter(({ status }) => status === 'rejected')).toEqual([]);
    expect(String(await outcome)).toContain(
      `failed to grant role privileges to the schema: an object is locked by process ${rows[0]?.pid} of role "cloud_admin"`,
    );
    await pg.query('rollback');
    await Promise.allSettled(stuck);
  });
});

test('clients that come and go at once leave no more sessions behind than clients that stay', async () => {
  await session({ ...cluster.target, database: 'app' }, async (pg) => {
    await pg.query('begin; lock table pg_catalog.pg_namespace in exclusive mode');
    const leaving = (async () => {
      for (let times = 0; times < 100; times++) {
        const client = new AbortController();
        const asked = api.grant(
          { database: 'app', schema: `s${times}`, privileges: ['CREATE'], role: 'public' },
          client.signal,
        );
        setTimeout(() => client.abort(), 30);
        await asked.catch(() => {});
      }
    })();
    expect(await most(leaving)).toBeLessThan(8);
    await pg.query('rollback');
  });
});

test('a request that waits too long for a session gets a deadline, and those after it their turn', async () => {
  const limit = new SessionLimit({ all: 2, each: 1, waitMs: 100 });
  let release = (): void => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  const running = [limit.run('a', never, () => held), limit.run('b', never, () => held)];
  const waiting = [1, 2, 3].map(() => limit.run('c', never, () => Promise.resolve()));
  for (const each of await Promise.allSettled(waiting))
    expect(each).toMatchObject({ status: 'rejected', reason: { code: 'deadline' } });
  release();
  await Promise.all(running);
  expect(await limit.run('c', never, () => Promise.resolve('done'))).toBe('done');
});

test('a client that leaves gives its place away, but not before the server can have noticed', async () => {
  const limit = new SessionLimit({ all: 1, each: 1, waitMs: 20_000 });
  const client = new AbortController();
  setMaxListeners(0, client.signal);
  const left = limit.run(
    'a',
    client.signal,
    () => new Promise((_, reject) => client.signal.addEventListener('abort', () => reject(new Error('cut')))),
  );
  const startMs = performance.now();
  client.abort();
  await expect(left).rejects.toMatchObject({ name: 'AbortError' });
  expect(performance.now() - startMs).toBeLessThan(900);
  const next = limit.run('a', never, () => Promise.resolve(performance.now() - startMs));
  expect(await next).toBeGreaterThan(900);
  await eventually('nothing left', async () => (await limit.run('a', never, async () => true)) || undefined);
});
