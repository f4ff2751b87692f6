import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Crashes } from '../../../src/catalog/crash.ts';
import { never } from '../../../src/core/abort.ts';
import { inline } from '../../../src/core/errors.ts';
import { collectExtensions } from '../../../src/database/installed-extensions.ts';
import { type PgClient, withPg } from '../../../src/pg/client.ts';
import { type Cluster, freePort, startCluster } from '../../support/cluster.ts';
import { installedPostgres, isOldestOrNewest } from '../../support/postgres-versions.ts';

const log = pino({ level: 'silent' });

describe.each(installedPostgres())('PostgreSQL $major', (postgres) => {
  let it: Cluster;
  const inDatabase = <T>(database: string, work: (pg: PgClient) => Promise<T>): Promise<T> =>
    withPg(
      it.target,
      { applicationName: 'test', connectMs: 5000, queryMs: 20_000, database, signal: never },
      work,
    );
  const run = async (text: string, database = 'postgres'): Promise<void> => {
    await inDatabase(database, (pg) => pg.query(text));
  };

  beforeAll(async () => {
    it = await startCluster({ postgres });
    await run('create database app');
    await run('create role owner login');
    await run('create database theirs owner owner');
    await run('create extension hstore', 'app');
    await run('set role owner; create extension hstore', 'theirs');
  });
  afterAll(() => it.stop());

  test('every version of an extension is counted, by the databases that have it and by its owner', async () => {
    const found = await collectExtensions({ target: it.target, log, crashing: new Crashes() }, never);
    expect(found).toMatchObject({ databases: 4, skipped: 0 });
    const plpgsql = found.extensions.filter(({ extname }) => extname === 'plpgsql');
    expect(plpgsql).toEqual([
      { extname: 'plpgsql', version: '1.0', n_databases: 4, owned_by_superuser: true },
    ]);
    const hstore = found.extensions.filter(({ extname }) => extname === 'hstore');
    expect(hstore.map(({ owned_by_superuser: own, n_databases: n }) => [own, n])).toEqual([
      [true, 1],
      [false, 1],
    ]);
  });

  test('with more databases than are looked into, every other one counts as skipped', async () => {
    const found = await collectExtensions({ target: it.target, log, crashing: new Crashes() }, never, 1);
    expect(found).toMatchObject({ databases: 1, skipped: 3 });
  });

  test.runIf(isOldestOrNewest(postgres))(
    'a session that is cut off is no crash: its database is read again in the next round',
    async () => {
      const { host, port } = it.target;
      let cuts = 0;
      const proxy = createServer((client) => {
        const server = connect(port, host);
        for (const socket of [client, server]) socket.on('error', () => {});
        client.once('data', (startup) => {
          if (startup.includes('template1')) {
            cuts++;
            client.resetAndDestroy();
            server.destroy();
            return;
          }
          server.write(startup);
          client.pipe(server).pipe(client);
        });
      }).listen(0, '127.0.0.1');
      await once(proxy, 'listening');
      const crashing = new Crashes();
      const target = { ...it.target, port: (proxy.address() as AddressInfo).port };
      for (const round of [1, 2]) {
        const found = await collectExtensions({ target, log, crashing }, never);
        expect(found).toMatchObject({ databases: 3, skipped: 1 });
        expect(cuts).toBe(round);
      }
      proxy.close();
      expect(await collectExtensions({ target: it.target, log, crashing }, never)).toMatchObject({
        skipped: 0,
      });
    },
  );

  test('a database that lets nobody in, is broken or hides its catalog is skipped, and all others are counted', async () => {
    await run('create database closed allow_connections false');
    await run('create database full_one connection limit 0');
    await run(`create database invalid; `);
    await run(`update pg_database set datconnlimit = -2 where datname = 'invalid'`);
    await run('create database trap owner owner');
    const trap = `create table public.pg_extension (extname text, extversion text, extowner oid, oid oid);
      alter database trap set search_path = public, pg_catalog;
      alter database trap set statement_timeout = 1; alter database trap set default_transaction_read_only = on;`;
    await run(`set role owner; ${trap}`, 'trap');
    const { databases, extensions } = await collectExtensions(
      { target: it.target, log, crashing: new Crashes() },
      never,
    );
    // A superuser is let into `full_one`.
    expect(databases).toBe(6);
    expect(extensions.find(({ extname }) => extname === 'plpgsql')?.n_databases).toBe(6);
  });
});

test('a server that is not there is an error', async () => {
  const target = {
    host: '127.0.0.1',
    port: await freePort(),
    user: 'x',
    password: null,
    database: 'postgres',
    options: '',
  };
  expect(await collectExtensions({ target, log, crashing: new Crashes() }, never).catch(inline)).toContain(
    'ECONNREFUSED',
  );
});
