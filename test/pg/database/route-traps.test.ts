import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type DatabaseApi, ownDatabase } from '../../../src/database/api.ts';
import { Writability } from '../../../src/database/writability.ts';
import { withPg } from '../../../src/pg/client.ts';
import { reloadAndWait } from '../../../src/pg/reload.ts';
import { ownSession } from '../../../src/pg/session-settings.ts';
import { type Cluster, startCluster } from '../../support/cluster.ts';
import { type Installed, installedPostgres, osUser } from '../../support/postgres-versions.ts';
import { brisk, checked, never, run, watched } from '../monitor/support.ts';
import { setTraps } from './traps.ts';

const found = installedPostgres();
const majors = [found[0], found.at(-1)] as [Installed, Installed];
const log = pino({ level: 'silent' });

describe.each(majors.map((each): [number, Installed] => [each.major, each]))(
  'PostgreSQL %i',
  (major, postgres) => {
    let cluster: Cluster;
    let api: DatabaseApi;

    beforeAll(async () => {
      cluster = await startCluster({ postgres, conf: "shared_preload_libraries='pg_stat_statements'" });
      await run(
        cluster.target,
        'create role tenant login',
        'create database app owner tenant',
        'alter schema public owner to tenant',
        'create extension pg_stat_statements schema public',
      );
      await setTraps(cluster.target, 'app', major);
      await setTraps(cluster.target, 'postgres', major);
      const { bindir } = postgres;
      const bin = {
        path: '',
        dir: bindir,
        major,
        version: '',
        sibling: (name: string) => join(bindir, name),
      };
      const settings = {
        target: cluster.target,
        bin,
        runAs: osUser,
        env: { PATH: process.env['PATH'] },
        pgdata: cluster.dataDir,
      };
      api = ownDatabase(settings, log);
    }, 120_000);
    afterAll(() => cluster.stop());

    /** A session with our own settings, which the traps do not reach: that is what the tests show. */
    const safely = async <T extends object>(query: string, database: string): Promise<T[]> =>
      withPg(
        ownSession(cluster.target),
        { applicationName: 'test', connectMs: 10_000, database, signal: never },
        async (pg) => (await pg.query<T>(query)).rows,
      );
    const sprung = async (): Promise<boolean> => {
      const rows = await Promise.all(
        ['app', 'postgres'].map((database) =>
          safely<{ called: boolean }>('select is_called as called from trap.sprung', database),
        ),
      );
      return rows.flat().some(({ called }) => called);
    };
    beforeEach(async () => {
      for (const database of ['app', 'postgres'])
        await safely("select pg_catalog.setval('trap.sprung', 1, false)", database);
    });

    test('the traps are set: a session without our settings springs them', async () => {
      for (const database of ['app', 'postgres']) {
        const options =
          '-c role=none -c local_preload_libraries= -c statement_timeout=0 -c idle_session_timeout=0 -c default_transaction_read_only=off';
        const bare = {
          ...cluster.target,
          database,
          options: major >= 17 ? `${options} -c transaction_timeout=0` : options,
        };
        for (const query of [
          `select 'a'::pg_catalog.name = 'a'::pg_catalog.name`,
          'select * from pg_namespace',
          `select left('abc'::pg_catalog.text, 1)`,
          `select 'a'::text`,
        ]) {
          // A login trigger has run by now.
          await run(bare, "select pg_catalog.setval('trap.sprung', 1, false)", query);
          expect(await sprung(), `${database}: ${query}`).toBe(true);
        }
      }
      await expect(run({ ...cluster.target, database: 'app' }, 'select 1')).rejects.toThrow(
        'could not connect',
      );
    });

    const routes: readonly (readonly [string, () => Promise<unknown>])[] = [
      [
        '/grants',
        () =>
          api.grant(
            { database: 'app', schema: 'public', privileges: ['USAGE', 'CREATE'], role: 'tenant' },
            never,
          ),
      ],
      [
        '/extensions',
        () => api.installExtension({ extension: 'hstore', database: 'app', version: '1.8' }, never),
      ],
      ['/insights', () => api.insights(never)],
      ['/dbs_and_roles', () => api.dbsAndRoles(never)],
      ['/database_schema of a database', async () => text(await api.schema('app', never))],
      ['/database_schema of the system database', async () => text(await api.schema('postgres', never))],
      ['/hadron_liveness_probe', () => api.mustAcceptConnections(never)],
      ['/check_writability', () => new Writability({ target: cluster.target, log }).check(never)],
      ['a reload', () => reloadAndWait(cluster.target, () => void cluster.postmaster.kill('SIGHUP'), never)],
      [
        'the monitor',
        () =>
          watched(
            cluster.target,
            { times: { ...brisk, connectMs: 10_000, queryMs: 10_000 }, useStatistics: () => true },
            async ({ monitor, metrics }) => {
              await checked(metrics, 4);
              expect(monitor.up).toBe(true);
            },
          ),
      ],
    ];
    test.each(routes)('%s works in databases full of traps, and none is sprung', async (name, work) => {
      const always =
        major < 17 && (name === '/check_writability' || name === '/grants' || name === '/extensions');
      await work();
      expect(await sprung()).toBe(false);
      if (!always) return;
      // Before 17 nothing switches off an event trigger that is enabled always: then nothing is written.
      const database = name === '/check_writability' ? 'postgres' : 'app';
      await safely('alter event trigger at_end enable always', database);
      await safely(
        'drop table if exists public.health_check; drop extension if exists hstore; revoke all on schema public from tenant',
        database,
      );
      await safely("select pg_catalog.setval('trap.sprung', 1, false)", database);
      await expect(work()).rejects.toThrow(
        'the event trigger "at_end" would run with the rights of compute_ctl',
      );
      expect(await sprung()).toBe(false);
      await safely('alter event trigger at_end enable', database);
    });

    test('the statistics are those of the extension while its view is being replaced', async () => {
      await run({ ...cluster.target, user: 'tenant', database: 'template1' }, 'select 1, 2, 3');
      expect(await api.insights(never)).toContain('"query"');
      await safely(
        'create schema fake; create view fake.pg_stat_statements as select * from evil.pg_class',
        'postgres',
      );
      let over = false;
      const swapping = withPg(
        ownSession(cluster.target),
        { applicationName: 'test', connectMs: 10_000, signal: never },
        async (pg) => {
          while (!over) {
            await pg.query(
              'begin; alter schema public rename to good; alter schema fake rename to public; commit',
            );
            await pg.query(
              'begin; alter schema public rename to fake; alter schema good rename to public; commit',
            );
          }
        },
      );
      for (let times = 0; times < 100; times++) await api.insights(never).catch(() => {});
      over = true;
      await swapping;
      expect(await sprung()).toBe(false);
    });
  },
);
