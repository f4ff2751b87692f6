import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sessionsOpened } from '../../../src/pg/client.ts';
import { type Cluster, startCluster } from '../../support/cluster.ts';
import { installedPostgres } from '../../support/postgres-versions.ts';
import { type SpecParts, apply, inputFor, query, value } from '../catalog/support.ts';

describe.each(installedPostgres())('PostgreSQL $major', (postgres) => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({ postgres });
  });
  afterAll(() => cluster.stop());

  const sql = (text: string, database = 'postgres') => query({ ...cluster.target, database }, text);
  const owner = (database: string): Promise<unknown> =>
    value(
      { ...cluster.target, database },
      `select nspowner::regrole::text from pg_namespace where nspname = 'public'`,
    );
  const untouched = postgres.major >= 15 ? 'pg_database_owner' : 'ann';
  const roles = [{ name: 'ann' }, { name: 'bob' }];
  const spec = (names: readonly string[], rest: SpecParts = {}) =>
    inputFor(cluster.target, { roles, databases: names.map((name) => ({ name, owner: 'ann' })), ...rest });
  /** Applies a spec. @returns the connections to databases other than the system database */
  async function visits(input: ReturnType<typeof spec>, target = cluster.target): Promise<number> {
    const before = sessionsOpened(target, ['postgres']);
    await apply(cluster, input, { target });
    return sessionsOpened(target, ['postgres']) - before;
  }
  /** Applies a spec until nothing is left to be done, and checks that nothing then means no connection. */
  async function settled(input: ReturnType<typeof spec>): Promise<void> {
    await apply(cluster, input);
    expect((await apply(cluster, input)).statements).toBe(0);
    expect(await visits(input)).toBe(0);
  }

  test('a schema public that a superuser takes back goes to the owner of the database again', async () => {
    const names = ['taken1', 'taken2', 'left1', 'left2'];
    await settled(spec(names));
    await sql('alter schema public owner to cloud_admin', 'taken1');
    await sql(
      'create role between; alter schema public owner to between; reassign owned by between to cloud_admin',
      'taken2',
    );
    await sql('alter schema public owner to bob', 'left2');
    // Each of them once to look and once to write.
    expect(await visits(spec(names))).toBe(4);
    expect(await Promise.all(names.map(owner))).toEqual(['ann', 'ann', untouched, 'bob']);
    await settled(spec(names));
  });

  test('the first superuser of old clusters does not keep it either', async () => {
    await sql('create role zenith_admin superuser');
    await settled(spec(['old']));
    await sql('alter schema public owner to zenith_admin', 'old');
    expect(await visits(spec(['old']))).toBe(2);
    expect(await owner('old')).toBe('ann');
    // Other schemas of it are not our business, and cost nothing.
    await sql('create schema theirs authorization zenith_admin', 'old');
    expect(await visits(spec(['old']))).toBe(0);
  });

  test('it follows the database from the superuser to its first other owner', async () => {
    const owned = (by: string) => spec([], { databases: [{ name: 'passed_on', owner: by }] });
    await settled(owned('cloud_admin'));
    await sql('alter schema public owner to cloud_admin', 'passed_on');
    await settled(owned('cloud_admin'));
    expect(await owner('passed_on')).toBe('cloud_admin');
    await settled(owned('ann'));
    expect(await owner('passed_on')).toBe('ann');
  });

  test('a database that was copied from one whose public belongs to the superuser is seen to', async () => {
    await settled(spec([], { databases: [{ name: 'pattern', owner: 'cloud_admin' }] }));
    await sql('alter schema public owner to cloud_admin', 'pattern');
    await sql('create database copied template pattern owner ann');
    await settled(spec(['copied']));
    expect(await owner('copied')).toBe('ann');
    await sql('create database twice template copied owner ann');
    await settled(spec(['twice']));
    expect(await owner('twice')).toBe('ann');
  });

  test('a cluster of an earlier version, without our rows, is inspected once', async () => {
    await settled(spec(['earlier1', 'earlier2']));
    await sql(`delete from pg_shdepend where classid = 2615 and refobjid = 10`);
    await sql('alter schema public owner to cloud_admin', 'earlier1');
    await settled(spec(['earlier1', 'earlier2']));
    expect(await owner('earlier1')).toBe('ann');
    expect(await owner('earlier2')).toBe(untouched);
  });

  test("grants, new owners and dropped roles, schemas and databases find our row in nobody's way", async () => {
    await settled(spec(['used']));
    const row = `select count(*)::int from pg_shdepend s join pg_database d on d.oid = s.dbid
      where s.classid = 2615 and s.refobjid = 10 and d.datname = 'used'`;
    expect(await value(cluster.target, row)).toBe(1);
    await sql(
      `grant all on schema public to bob with grant option; revoke all on schema public from public;
       grant usage on schema public to cloud_admin; revoke all on schema public from cloud_admin;
       alter schema public owner to bob; drop owned by bob restrict`,
      'used',
    );
    await sql('drop schema if exists public cascade; create schema public authorization ann', 'used');
    await settled(spec(['used']));
    expect(await owner('used')).toBe('ann');
    await sql('drop database used');
    const left = `select count(*)::int from pg_shdepend s where classid = 2615 and refobjid = 10
      and not exists (select from pg_database d where d.oid = s.dbid)`;
    expect(await value(cluster.target, left)).toBe(0);
  });

  test('where our superuser is not the one from initdb, it does not keep public either', async () => {
    await sql('create role operator superuser login');
    const target = { ...cluster.target, user: 'operator' };
    const input = inputFor(target, { roles, databases: [{ name: 'run_by', owner: 'ann' }] });
    await apply(cluster, input, { target });
    await sql('alter schema public owner to operator; create schema more authorization operator', 'run_by');
    await apply(cluster, input, { target });
    expect(await owner('run_by')).toBe('ann');
    expect((await apply(cluster, input, { target })).statements).toBe(0);
  });
});
