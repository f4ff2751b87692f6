import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { never } from '../../../src/core/abort.ts';
import { Front } from '../../../src/local/front/front.ts';
import { observe } from '../../../src/local/front/observe.ts';
import type { Session } from '../../../src/local/front/session.ts';
import { hba } from '../../../src/local/storage/files.ts';
import { withPg } from '../../../src/pg/client.ts';
import { type Cluster, freePort, startCluster } from '../../support/cluster.ts';
import { installedPostgres } from '../../support/postgres-versions.ts';

const options = { applicationName: 'compute_local_test', connectMs: 5000, signal: never };

describe.each(installedPostgres().map((postgres) => ({ postgres, major: postgres.major })))(
  'PostgreSQL $major',
  ({ postgres }) => {
    let cluster: Cluster;
    let front: Front;
    let port: number;
    let server: { dir: string; port: number };
    const admin = async (text: string): Promise<void> => {
      await withPg({ ...cluster.target, host: server.dir }, options, (client) => client.query(text));
    };

    beforeAll(async () => {
      cluster = await startCluster({ postgres, conf: 'max_connections=20\n' });
      server = { dir: join(cluster.dataDir, '../run'), port: cluster.port };
      writeFileSync(join(cluster.dataDir, 'pg_hba.conf'), hba);
      await admin('select pg_reload_conf()');
      await admin("create role ann login password 'secret'");
      await admin("create role late login password 'secret' valid until '2001-01-01'");
      await admin("create role old login password 'md5d41d8cd98f00b204e9800998ecf8427e'");
      await admin('create database ann owner ann');
      port = await freePort();
      front = new Front({ host: '127.0.0.1', port, server, superuser: 'cloud_admin', ignored: () => false });
      await front.listen();
      front.open();
    }, 60_000);
    afterAll(async () => {
      await front.close();
      await cluster.stop();
    });

    async function client(config: pg.ClientConfig = {}): Promise<pg.Client> {
      const one = new pg.Client({ host: '127.0.0.1', port, user: 'ann', password: 'secret', ...config });
      one.on('error', () => {});
      await one.connect();
      return one;
    }
    const only = (): Session => front.sessions[0]!;
    /** What the only session would lose. */
    async function loses(): Promise<readonly string[]> {
      await expect.poll(() => only().quiet).toBe(true);
      await only().inspect();
      const found = only().found!;
      return 'holds' in found ? found.holds : [];
    }
    /** As a suspend does it, with a server that stays. */
    async function sleeps(): Promise<void> {
      expect(await loses()).toEqual([]);
      const { roster } = await observe(server, never);
      front.shut(roster);
      expect(only().canReturn(roster)).toBe(true);
      only().detach();
      front.demanded(never).then(
        () => front.open(),
        () => {},
      );
    }
    const gone = async (): Promise<void> => {
      await expect.poll(() => front.sessions.length).toBe(0);
    };

    test.each([
      ['nothing', 'select 1', []],
      ['a parameter that can be set again', "set work_mem = '3MB'", []],
      [
        'a parameter of an application',
        "select set_config('a.b', '1', false)",
        ['parameters of an application'],
      ],
      ['a temporary table', 'create temp table t ()', ['temporary tables']],
      [
        'a temporary function',
        "create function pg_temp.f() returns int language sql as 'select 1'",
        ['temporary tables'],
      ],
      ['LISTEN', 'listen a', ['LISTEN']],
      ['an advisory lock', 'select pg_advisory_lock(1)', ['advisory locks']],
      ['a cursor', 'declare c cursor with hold for select 1', ['cursors']],
      ['PREPARE', 'prepare p as select 1', ['prepared statements']],
      ['SET ROLE', 'set role ann', ['SET ROLE']],
    ] as const)('%s is found in a session, and gone with DISCARD ALL', async (_, text, found) => {
      const one = await client();
      await one.query(text);
      expect(await loses()).toEqual(found.map((each) => expect.stringContaining(each) as unknown));
      await one.query('discard all');
      expect(await loses()).toEqual([]);
      await one.end();
      await gone();
    });

    test('a session goes on in another server process, with its parameters and statements', async () => {
      const one = await client({ application_name: 'before', options: '-c lock_timeout=77' });
      const named = { name: 'kept', text: 'select $1::int + 1 as n', values: [1] };
      await one.query("set work_mem = '3MB'");
      await one.query("set application_name = 'after'");
      await one.query(named);
      const pid = only().pid;
      await sleeps();
      expect((await one.query('show work_mem')).rows).toEqual([{ work_mem: '3MB' }]);
      expect((await one.query('show lock_timeout')).rows).toEqual([{ lock_timeout: '77ms' }]);
      expect((await one.query(named)).rows).toEqual([{ n: 2 }]);
      expect(only().application).toBe('after');
      expect(only().pid).not.toBe(pid);
      await one.end();
      await gone();
    });

    test('statements that were dropped, or are not valid, do not count for what they were', async () => {
      const one = await client();
      await one.query('create table dropped (n int)');
      await one.query({ name: 'kept', text: 'select 1' });
      await one.query('deallocate all');
      expect(await loses()).toEqual([]);
      await one.query({ text: 'select * from dropped where n = $1', values: [1] });
      await withPg({ ...cluster.target, host: server.dir, database: 'ann' }, options, (pgClient) =>
        pgClient.query('drop table dropped'),
      );
      await sleeps();
      expect((await one.query('select 1 as n')).rows).toEqual([{ n: 1 }]);
      await one.end();
      await gone();
    });

    test('a statement whose name was refused to another text is not replaced by that', async () => {
      const one = await client();
      await one.query({ name: 'kept', text: 'select 1 as n' });
      // As a client that keeps no list of its statements.
      delete (one as unknown as { connection: { parsedStatements: Record<string, string> } }).connection
        .parsedStatements['kept'];
      await expect(one.query({ name: 'kept', text: 'select 2 as n' })).rejects.toMatchObject({
        code: '42P05',
      });
      expect(await loses()).toEqual(['prepared statements']);
      await one.end();
      await gone();
    });

    test('a session whose statement means something else by now ends with 57P01', async () => {
      const one = await client();
      await one.query('create table changed (n int)');
      await one.query({ name: 'kept', text: 'select * from changed' });
      await sleeps();
      await withPg({ ...cluster.target, host: server.dir, database: 'ann' }, options, (pgClient) =>
        pgClient.query('alter table changed add m text'),
      );
      await expect(one.query('select 1')).rejects.toMatchObject({ code: '57P01' });
      await gone();
      await admin('select 1');
    });

    test('a client that was checked asleep is logged in by what it has proved', async () => {
      const { roster } = await observe(server, never);
      front.shut(roster);
      const connecting = client();
      expect(await front.demanded(never)).toContain('role "ann"');
      front.open();
      const one = await connecting;
      expect((await one.query('select current_user')).rows).toEqual([{ current_user: 'ann' }]);
      await one.end();
      await gone();
    });

    test.each([
      ['a wrong password', { password: 'wrong' }, '28P01'],
      ['an unknown role', { user: 'bob' }, '28P01'],
      ['a password that is not valid any more', { user: 'late' }, '28P01'],
      ['a role with an MD5 password', { user: 'old' }, '28P01'],
      ['the superuser', { user: 'cloud_admin' }, '28000'],
      ['an unknown database', { database: 'nowhere' }, '3D000'],
      ['physical replication', { replication: 'true' }, '28000'],
    ])('%s is refused asleep as it is awake', async (_, config, code) => {
      const refused = async (): Promise<unknown> =>
        client(config as pg.ClientConfig).then(
          () => 'let in',
          (error: { code?: unknown }) => error.code,
        );
      expect(await refused()).toBe(code);
      const { roster } = await observe(server, never);
      front.shut(roster);
      expect(await refused()).toBe(code);
      expect(front.isDemanded).toBe(false);
      front.reopen();
    });

    test('what Postgres refuses after all is said in its own words', async () => {
      const { roster } = await observe(server, never);
      front.shut(roster);
      const connecting = client();
      await front.demanded(never);
      await admin('alter role ann connection limit 0');
      front.open();
      await expect(connecting).rejects.toMatchObject({ code: '53300' });
      await admin('alter role ann connection limit -1');
      await gone();
    });

    test('more clients than Postgres has room for are told so', async () => {
      const { roster } = await observe(server, never);
      front.shut(roster);
      const connecting = Array.from({ length: 40 }, () =>
        client().then(
          (one) => one,
          (error: { code?: unknown }) => error.code,
        ),
      );
      await front.demanded(never);
      front.open();
      const all = await Promise.all(connecting);
      const served = all.filter((one) => one instanceof pg.Client);
      expect(new Set(all.filter((one) => !served.includes(one as pg.Client)))).toEqual(new Set(['53300']));
      expect(served.length).toBeGreaterThan(10);
      for (const one of served) await one.end();
      await gone();
    });
  },
);
