import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { pino } from 'pino';
import { withPg } from '../../../src/pg/client.ts';
import { FileCache } from '../../../src/vm-monitor/file-cache.ts';
import { mib } from '../../../src/vm-monitor/decisions.ts';
import { type Cluster, startCluster } from '../../support/cluster.ts';
import { installedPostgres } from '../../support/postgres-versions.ts';
import { eventually } from '../../support/program.ts';

const never = new AbortController().signal;
const quiet = pino({ level: 'silent' });
const placeholders = "neon.file_cache_size_limit = 0\nneon.max_file_cache_size = '2GB'";

function listening(): { lines: string[]; log: pino.Logger } {
  const lines: string[] = [];
  return { lines, log: pino({ level: 'debug' }, { write: (line: string) => lines.push(line) }) };
}

const query = (cluster: Cluster, text: string, user = 'cloud_admin') =>
  withPg(
    { ...cluster.target, user },
    { applicationName: 'test', connectMs: 5000, queryMs: 5000, signal: never },
    async (pg) => (await pg.query(text)).rows as Record<string, unknown>[],
  );

const sizeLimit = async (cluster: Cluster): Promise<unknown> =>
  (await query(cluster, "select current_setting('neon.file_cache_size_limit') size"))[0]?.['size'];

const backends = (cluster: Cluster) =>
  query(cluster, "select pid from pg_stat_activity where application_name = 'vm-monitor'");

test.each(installedPostgres())(
  'a user who is not a superuser logs in to PostgreSQL $major, whatever the owner of the database attached to it',
  async (one) => {
    const cluster = await startCluster({ postgres: one, conf: placeholders });
    const { lines, log } = listening();
    await query(cluster, 'create role monitor login');
    const attached = {
      local_preload_libraries: 'nosuch',
      statement_timeout: '1',
      default_transaction_read_only: 'on',
    };
    for (const [name, value] of Object.entries(attached))
      await query(cluster, `alter role monitor in database postgres set ${name} = '${value}'`);
    const cache = new FileCache({ ...cluster.target, user: 'monitor' }, log);
    try {
      expect(await cache.resize(mib, never)).toBeNull();
      expect(lines.join()).toContain('may not resize');
      expect(cluster.log()).toMatch(
        /permission denied .*file_cache_size_limit|must be superuser to execute ALTER SYSTEM/,
      );
    } finally {
      await cache.close();
      await cluster.stop();
    }
  },
);

test.each(installedPostgres())(
  'the size is changed in PostgreSQL $major, capped by the server',
  async (one) => {
    const cluster = await startCluster({ postgres: one, conf: placeholders });
    const cache = new FileCache(cluster.target, quiet);
    try {
      expect(await cache.resize(1000 * mib + 5, never)).toBe(1000 * mib);
      await eventually('the setting', async () => (await sizeLimit(cluster)) === '1000' || undefined);
      expect(await cache.resize(2997 * mib, never)).toBe(2048 * mib);
      await eventually('the cap', async () => (await sizeLimit(cluster)) === '2048' || undefined);
      expect(await cache.resize(0, never)).toBe(0);
      await eventually('off', async () => (await sizeLimit(cluster)) === '0' || undefined);
    } finally {
      await cache.close();
      await cluster.stop();
    }
  },
);

test.each(installedPostgres())(
  'nothing that the owner of the database puts into it runs when the size is changed in PostgreSQL $major',
  async (one) => {
    const cluster = await startCluster({ postgres: one, conf: placeholders });
    const [login, evict] = one.major >= 17 ? ['login', 'enable always'] : ['ddl_command_start', 'enable'];
    await query(
      cluster,
      `create role owner login; alter database postgres owner to owner;
       create function public.event() returns event_trigger language plpgsql as $$ begin raise log 'SPRUNG event'; end $$;
       create event trigger e on ${login} execute function public.event(); alter event trigger e ${evict}`,
    );
    await query(
      cluster,
      `create schema evil;
       create function evil.f() returns bool language plpgsql as $$ begin raise log 'SPRUNG as %', session_user; return true; end $$;
       create domain evil.text as pg_catalog.text check (evil.f() or value is null);
       alter database postgres set search_path = evil, pg_catalog`,
      'owner',
    );
    const from = cluster.log().length;
    const cache = new FileCache(cluster.target, quiet);
    try {
      expect(await cache.resize(3 * mib, never)).toBe(3 * mib);
      expect(cluster.log().slice(from)).not.toContain('SPRUNG');
    } finally {
      await cache.close();
      await cluster.stop();
    }
  },
);

describe('a server with the settings', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({ conf: placeholders });
    await query(cluster, 'create role weak login');
  });
  afterAll(() => cluster.stop());

  test('one connection is kept, and opened anew when the server has ended it', async () => {
    const cache = new FileCache(cluster.target, quiet);
    await Promise.all([cache.resize(mib, never), cache.resize(2 * mib, never), cache.resize(3 * mib, never)]);
    expect(await backends(cluster)).toHaveLength(1);
    await query(
      cluster,
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'vm-monitor'",
    );
    expect(await cache.resize(4 * mib, never)).toBe(4 * mib);
    expect(await backends(cluster)).toHaveLength(1);
    await cache.close();
    await eventually('the end', async () => (await backends(cluster)).length === 0 || undefined);
  });

  test('a user who may not alter the system leaves the file cache as it is: said once, and no error', async () => {
    const { lines, log } = listening();
    const before = await sizeLimit(cluster);
    const cache = new FileCache({ ...cluster.target, user: 'weak' }, log);
    expect(await cache.resize(mib, never)).toBeNull();
    expect(await cache.resize(2 * mib, never)).toBeNull();
    expect(lines.filter((line) => line.includes('may not resize the file cache'))).toHaveLength(1);
    expect(await sizeLimit(cluster)).toBe(before);
    await cache.close();
  });

  test('a server that does not answer fails the change within its limit, and the next one works', async () => {
    const cache = new FileCache(cluster.target, quiet);
    await cache.resize(mib, never);
    const [backend] = await backends(cluster);
    process.kill(Number(backend?.['pid']), 'SIGSTOP');
    cluster.postmaster.kill('SIGSTOP');
    const startMs = performance.now();
    await expect(cache.resize(2 * mib, never)).rejects.toThrow();
    expect(performance.now() - startMs).toBeLessThan(4900);
    cluster.postmaster.kill('SIGCONT');
    process.kill(Number(backend?.['pid']), 'SIGCONT');
    expect(await cache.resize(3 * mib, never)).toBe(3 * mib);
    await cache.close();
  });

  test('an aborted change leaves no connection behind', async () => {
    const cache = new FileCache(cluster.target, quiet);
    const abort = new AbortController();
    const resized = cache.resize(mib, abort.signal);
    abort.abort(new Error('over'));
    await expect(resized).rejects.toThrow('over');
    await cache.close();
    await eventually('the end', async () => (await backends(cluster)).length === 0 || undefined);
  });
});

test('a stock PostgreSQL has no file cache: said once, and no error', async () => {
  const cluster = await startCluster();
  const { lines, log } = listening();
  const cache = new FileCache(cluster.target, log);
  expect(await cache.resize(mib, never)).toBeNull();
  expect(await cache.resize(mib, never)).toBeNull();
  expect(lines.filter((line) => line.includes('has no file cache'))).toHaveLength(1);
  await cache.close();
  await cluster.stop();
});
