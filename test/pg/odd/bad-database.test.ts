import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { CatalogInput } from '../../../src/catalog/input.ts';
import { Crashes } from '../../../src/catalog/crash.ts';
import type { CatalogLimits } from '../../../src/catalog/session.ts';
import { CatalogFailure } from '../../../src/catalog/result.ts';
import { type PgClient, connectPg, destroyPg } from '../../../src/pg/client.ts';
import { type Cluster, startCluster } from '../../support/cluster.ts';
import { eventually } from '../../support/program.ts';
import { installedPostgres, isOldestOrNewest } from '../../support/postgres-versions.ts';
import { type SpecParts, apply, inputFor, never, query, scram, value } from '../catalog/support.ts';

const conf = 'max_prepared_transactions=5\nmax_logical_replication_workers=0\nautovacuum=off';
const operation_uuid = '5f7a2c3e-9d67-4c3f-9a36-0c4f4f1f9a11';
const timelineOfBranch = '0944cacdd3ab0e452e271ae1e0a73626';

describe.each(installedPostgres())('PostgreSQL $major', (postgres) => {
  let cluster: Cluster;
  // What depends on no version, or takes long: the server itself waits five seconds for sessions to end.
  const mending: (() => unknown)[] = [];
  beforeAll(async () => {
    cluster = await startCluster({ postgres, conf });
    await apply(cluster, inputFor(cluster.target, { roles: [{ name: 'ann' }] }));
  });
  afterEach(() => mend());
  afterAll(() => cluster.stop());

  const sql = (text: string, database = 'postgres') => query({ ...cluster.target, database }, text);
  const known = () => ({ target: { ...cluster.target, major: postgres.major } });
  const spec = (names: readonly string[], rest: SpecParts = {}) =>
    inputFor(cluster.target, {
      roles: [{ name: 'ann' }],
      databases: names.map((name) => ({ name, owner: 'ann' })),
      ...rest,
    });
  const run = (input: CatalogInput, limits: Partial<CatalogLimits> = {}) =>
    apply(cluster, input, { ...known(), limits: { lockMs: 300, ...limits } });
  const failing = async (
    input: CatalogInput,
    limits: Partial<CatalogLimits> = {},
  ): Promise<CatalogFailure> => {
    const failure = await run(input, limits).catch((error: unknown) => error);
    if (!(failure instanceof CatalogFailure)) throw failure ?? new Error('nothing failed');
    return failure;
  };
  const mend = async (): Promise<void> => {
    for (const one of mending.splice(0)) await one();
  };
  const isDone = async (database: string): Promise<boolean> =>
    (await value({ ...cluster.target, database }, 'select count(*)::int from pg_default_acl')) === 2;
  const rows = async (text: string): Promise<unknown[]> =>
    (await sql(text)).map((row) => Object.values(row)[0]);
  const databases = () => rows('select datname from pg_database order by 1');

  /** What befalls databases: each returns when it has happened. */
  const befall = {
    /** Its directory is gone. */
    async missing(database: string) {
      await sql('checkpoint');
      const oid = await value(
        cluster.target,
        `select oid::text from pg_database where datname = '${database}'`,
      );
      const dir = join(cluster.dataDir, 'base', String(oid));
      renameSync(dir, `${dir}.away`);
      mending.push(() => renameSync(`${dir}.away`, dir));
    },
    /** A catalog is not where it belongs. */
    async corrupt(database: string) {
      const named = (name: string) =>
        sql(`update pg_catalog.pg_class set relname = '${name}' where oid = 826`, database);
      await named('lost');
      mending.push(() => named('pg_default_acl'));
    },
    /** Somebody holds a lock on a catalog. */
    async locked(database: string) {
      const holder = await held(database, 'lock table pg_catalog.pg_default_acl in access exclusive mode');
      mending.push(() => destroyPg(holder));
    },
    /** The server cannot convert its encoding to ours. */
    async unreadable(database: string) {
      await sql(
        `update pg_catalog.pg_database set encoding = pg_catalog.pg_char_to_encoding('MULE_INTERNAL') where datname = '${database}'`,
      );
      mending.push(() =>
        sql(
          `update pg_catalog.pg_database set encoding = pg_catalog.pg_char_to_encoding('UTF8') where datname = '${database}'`,
        ),
      );
    },
  };

  async function held(database: string, text: string): Promise<PgClient> {
    const options = { applicationName: 'test', connectMs: 10_000, signal: never };
    const client = await connectPg({ ...cluster.target, database }, options);
    await client.query(`begin; ${text}`);
    return client;
  }

  test('what fails inside single databases is named, and everything else of the spec is done', async () => {
    const bad = Object.keys(befall) as (keyof typeof befall)[];
    const good = ['good1', 'good2', 'good3'];
    for (const name of [...bad, ...good]) await sql(`create database ${name} owner ann`);
    for (const name of bad) await befall[name](name);
    const wanted = [...bad.slice(0, 2), ...good.slice(0, 2), ...bad.slice(2), 'good3', 'made'];
    const input = spec(wanted, { roles: [{ name: 'ann' }, { name: 'late' }] });
    let afterwards = 0;
    const failure = await apply(cluster, input, {
      ...known(),
      limits: { lockMs: 300 },
      afterwards: async () => void afterwards++,
    }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(CatalogFailure);
    const { databases: failed, remainder, onlyDatabases, message } = failure as CatalogFailure;
    expect([...failed.keys()].toSorted()).toEqual(bad.toSorted());
    expect(onlyDatabases).toBe(true);
    expect(afterwards).toBe(1);
    for (const name of bad) expect(message).toContain(`"${name}"`);
    expect(failed.get('missing')).toMatchObject({ sqlState: '3D000' });
    expect(failed.get('locked')).toMatchObject({ sqlState: '55P03' });
    expect(failed.get('locked')?.hint).toContain('lock');
    for (const name of [...good, 'made']) expect(await isDone(name)).toBe(true);
    expect(await rows(`select rolname from pg_roles where rolname = 'late'`)).toEqual(['late']);

    // Since then users were at work: what is tried again is only what was left.
    await sql(`alter role late password 'theirs'; alter database made owner to late`);
    const stored = await value(cluster.target, `select rolpassword from pg_authid where rolname = 'late'`);
    expect([...(await failing({ ...input, again: remainder })).databases.keys()].toSorted()).toEqual(
      bad.toSorted(),
    );
    await mend();
    expect((await run({ ...input, again: remainder })).statements).toBe(bad.length);
    for (const name of bad) expect(await isDone(name)).toBe(true);
    expect(await value(cluster.target, `select rolpassword from pg_authid where rolname = 'late'`)).toBe(
      stored,
    );
    expect(await rows(`select datdba::regrole::text from pg_database where datname = 'made'`)).toEqual([
      'late',
    ]);
    await run(input);
    expect((await run(input)).statements).toBe(0);
  });

  test.runIf(isOldestOrNewest(postgres))(
    'a role stays while a database that refers to it fails, and a database that was deleted beside it is not deleted twice',
    async () => {
      for (const name of ['refers', 'other', 'goes']) await sql(`create database ${name} owner ann`);
      await sql('create role leaving; create role leaves_too');
      for (const name of ['refers', 'other'])
        await sql('create table t (); alter table t owner to leaving', name);
      await run(spec(['refers', 'other']));
      await befall.missing('refers');
      const input = spec(['refers', 'other'], {
        operation_uuid,
        delta_operations: [
          { action: 'delete_db', name: 'goes' },
          { action: 'delete_role', name: 'leaving' },
          { action: 'delete_role', name: 'leaves_too' },
        ],
      });
      const failure = await failing(input);
      expect([...failure.databases.keys()]).toEqual(['refers']);
      expect(failure.onlyDatabases).toBe(true);
      expect(await databases()).not.toContain('goes');
      expect(await rows(`select rolname from pg_roles where rolname like 'leav%'`)).toEqual(['leaving']);
      expect(await value({ ...cluster.target, database: 'other' }, `select 't'::regclass::text`)).toBe('t');

      // The compute runs meanwhile, and its users create what bears the names of what is gone.
      await sql('create database goes owner ann');
      await sql('create table mine ()', 'goes');
      await sql('create role leaves_too');
      // The next start, with the same spec, and the retry.
      expect([...(await failing(input)).databases.keys()]).toEqual(['refers']);
      await mend();
      await run({ ...input, again: failure.remainder });
      expect(await rows(`select rolname from pg_roles where rolname like 'leav%'`)).toEqual(['leaves_too']);
      expect(await value({ ...cluster.target, database: 'goes' }, `select 'mine'::regclass::text`)).toBe(
        'mine',
      );
      expect((await run(input)).statements).toBe(0);
      expect(await databases()).toContain('goes');
    },
  );

  test.runIf(isOldestOrNewest(postgres))(
    'without an operation id, too, the retry deletes nothing that was made since',
    async () => {
      for (const name of ['refers2', 'goes2']) await sql(`create database ${name} owner ann`);
      await sql('create role leaving2');
      await sql('create table t (); alter table t owner to leaving2', 'refers2');
      await run(spec(['refers2']));
      await befall.locked('refers2');
      const holder = await held('refers2', 'lock table t');
      mending.push(() => destroyPg(holder));
      const input = spec(['refers2'], {
        delta_operations: [
          { action: 'delete_db', name: 'goes2' },
          { action: 'delete_role', name: 'leaving2' },
        ],
      });
      const { remainder } = await failing(input);
      await sql('create database goes2 owner ann');
      await mend();
      await run({ ...input, again: remainder });
      expect(await databases()).toContain('goes2');
      expect(await rows(`select rolname from pg_roles where rolname = 'leaving2'`)).toEqual([]);
    },
  );

  test.runIf(isOldestOrNewest(postgres))(
    'a role that a database without connections refers to stays, too',
    async () => {
      await sql('create role leaving3');
      await sql('create database shut owner ann');
      await sql('create table t (); alter table t owner to leaving3', 'shut');
      await sql('alter database shut allow_connections false');
      const input = spec(['beside_shut'], {
        delta_operations: [{ action: 'delete_role', name: 'leaving3' }],
      });
      const failure = await failing(input);
      expect(failure.onlyDatabases).toBe(true);
      expect([...failure.databases.keys()]).toEqual(['shut']);
      expect(await isDone('beside_shut')).toBe(true);
      await sql('alter database shut allow_connections true');
      await run({ ...input, again: failure.remainder });
      expect(await rows(`select rolname from pg_roles where rolname = 'leaving3'`)).toEqual([]);
    },
  );

  test.runIf(isOldestOrNewest(postgres))(
    'a rename that fails leaves out what is about that database, and is done later',
    async () => {
      await sql('create database was owner ann');
      await sql(`begin; create table t (); prepare transaction 'in the way'`, 'was');
      mending.push(() => sql(`rollback prepared 'in the way'`, 'was'));
      const input = spec(['is', 'beside'], {
        operation_uuid: operation_uuid.replace('5', '6'),
        delta_operations: [{ action: 'rename_db', name: 'was', new_name: 'is' }],
      });
      // A prepared transaction is waited for until the statement's limit.
      const failure = await failing(input, { statementMs: 10_000 });
      expect([...failure.databases.keys()]).toEqual(['is']);
      expect(failure.databases.get('is')?.reason).toContain('"was"');
      expect(await databases()).toEqual(expect.arrayContaining(['was', 'beside']));
      expect(await databases()).not.toContain('is');
      expect(await isDone('beside')).toBe(true);
      await mend();
      await run({ ...input, again: failure.remainder });
      expect(await databases()).not.toContain('was');
      expect(await isDone('is')).toBe(true);
      expect((await run(input)).statements).toBe(0);
    },
  );

  test('inherited subscriptions of a database that fails are harmless at once; those made later elsewhere stay', async () => {
    const subscribe = (database: string, name: string) =>
      sql(
        `create subscription ${name} connection 'host=/nowhere' publication p with (connect = false, slot_name = kept)`,
        database,
      );
    const left = () => rows('select subname from pg_subscription order by 1');
    for (const name of ['subs1', 'subs2']) {
      await sql(`create database ${name} owner ann`);
      await subscribe(name, `inherited_by_${name}`);
    }
    await run(spec(['subs1', 'subs2']));
    await sql('update pg_subscription set subenabled = true');
    await befall.missing('subs1');
    const input = {
      ...spec(['subs1', 'subs2'], { drop_subscriptions_before_start: true }),
      timelineId: timelineOfBranch,
    };
    const failure = await failing(input);
    expect(failure.onlyDatabases).toBe(true);
    expect([...failure.databases.keys()]).toEqual(['subs1']);
    expect(await sql('select subname, subenabled, subslotname from pg_subscription')).toEqual([
      { subname: 'inherited_by_subs1', subenabled: false, subslotname: null },
    ]);
    await subscribe('subs2', 'later');
    // The next start, with the same spec, and the retry.
    expect([...(await failing(input)).databases.keys()]).toEqual(['subs1']);
    await mend();
    await subscribe('subs1', 'later_too');
    await run({ ...input, again: failure.remainder });
    expect(await left()).toEqual(['later', 'later_too']);
    expect((await run(input)).statements).toBe(0);
    expect(await left()).toEqual(['later', 'later_too']);
    await sql(`update pg_subscription set subenabled = false, subslotname = null`);
    await sql('drop subscription later_too', 'subs1');
    await sql('drop subscription later', 'subs2');
  });

  test.runIf(isOldestOrNewest(postgres))(
    'a database that cannot be created, and an invalid one that cannot be dropped, do not keep others from it',
    async () => {
      await sql('create database half owner ann');
      const inside = await held('half', 'select 1');
      mending.push(() => destroyPg(inside));
      await sql(`update pg_database set datconnlimit = -2 where datname = 'half'`);
      const nonsense = [
        { name: 'ENCODING', value: 'EUC_JP', vartype: 'string' },
        { name: 'LC_CTYPE', value: 'C.UTF-8', vartype: 'string' },
      ];
      const input = inputFor(cluster.target, {
        roles: [{ name: 'ann', encrypted_password: scram('a') }],
        databases: [
          { name: 'half', owner: 'ann' },
          { name: 'impossible', owner: 'ann', options: nonsense },
          { name: 'possible', owner: 'ann' },
        ],
      });
      const failure = await failing(input);
      expect([...failure.databases.keys()].toSorted()).toEqual(['half', 'impossible']);
      expect(failure.onlyDatabases).toBe(true);
      expect(failure.databases.get('half')).toMatchObject({ sqlState: '55006' });
      expect(await isDone('possible')).toBe(true);
      await mend();
      const later = await failing({ ...input, again: failure.remainder });
      expect([...later.databases.keys()]).toEqual(['impossible']);
      expect(await isDone('half')).toBe(true);
    },
  );

  test.runIf(isOldestOrNewest(postgres))(
    'an owner that cannot be changed takes nothing with it that was sent in the same message',
    async () => {
      for (const name of ['own1', 'own2', 'own3']) await sql(`create database ${name} owner ann`);
      await run(spec(['own1', 'own2', 'own3']));
      const holder = await held('postgres', 'alter database own2 connection limit 7');
      mending.push(() => destroyPg(holder));
      const input = inputFor(cluster.target, {
        roles: [{ name: 'ann' }, { name: 'bob' }],
        databases: ['own1', 'own2', 'own3'].map((name) => ({ name, owner: 'bob' })),
      });
      const failure = await failing(input);
      expect([...failure.databases.keys()]).toEqual(['own2']);
      const owners = () =>
        rows(`select datdba::regrole::text from pg_database where datname like 'own%' order by datname`);
      expect(await owners()).toEqual(['bob', 'ann', 'bob']);
      await mend();
      await run({ ...input, again: failure.remainder });
      expect(await owners()).toEqual(['bob', 'bob', 'bob']);
    },
  );

  test('a database that lets nobody in fails within its limit, and no session is left waiting for it', async () => {
    for (const name of ['entrance', 'open']) await sql(`create database ${name} owner ann`);
    const holder = await held('entrance', 'lock table pg_catalog.pg_class in access exclusive mode');
    mending.push(() => destroyPg(holder));
    const oid = await value(cluster.target, `select oid::text from pg_database where datname = 'entrance'`);
    // Without it a session has to read the catalogs before it knows its settings, and so its time limits.
    rmSync(join(cluster.dataDir, 'base', String(oid), 'pg_internal.init'), { force: true });
    const input = spec(['entrance', 'open']);
    const limits = { connectMs: 1500, lockMs: 300 };
    const failure = await apply(cluster, input, { ...known(), limits }).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(CatalogFailure);
    expect([...(failure as CatalogFailure).databases.keys()]).toEqual(['entrance']);
    expect((failure as CatalogFailure).databases.get('entrance')?.sqlState).toBeNull();
    expect(await isDone('open')).toBe(true);
    const waiting = () => value(cluster.target, 'select count(*)::int from pg_locks where not granted');
    await eventually('nobody waits', async () => ((await waiting()) === 0 ? true : undefined));
    await holder.query('select');
    await mend();
    await run({ ...input, again: (failure as CatalogFailure).remainder });
    expect(await isDone('entrance')).toBe(true);
  });

  test('a database that makes the server crash is left alone from then on, and everything else is done', async () => {
    const names = ['crash1', 'crash2', 'a', 'b', 'c', 'd', 'e', 'f'].map((name) => `${name}_whole`);
    for (const name of names) await sql(`create database ${name} owner ann`);
    await sql('checkpoint');
    for (const database of names.slice(0, 2)) {
      const at = await value({ ...cluster.target, database }, `select pg_relation_filepath('pg_class')`);
      const file = join(cluster.dataDir, String(at));
      const content = readFileSync(file);
      mending.push(() => writeFileSync(file, content));
      writeFileSync(file, Buffer.alloc(content.length));
      rmSync(join(dirname(file), 'pg_internal.init'), { force: true });
    }
    // Forgets the pages that the server holds in memory.
    const restarted = cluster.log().split('database system is ready').length;
    const backend = await held('postgres', 'select 1');
    process.kill((backend as unknown as { processID: number }).processID, 'SIGKILL');
    await eventually('the server has started again', () =>
      cluster.log().split('database system is ready').length > restarted ? true : undefined,
    );
    const crashes = new Crashes();
    const input = spec(names);
    const attempt = (given: CatalogInput) =>
      apply(cluster, given, { ...known(), crashes }).catch((error: unknown) => error);
    const failure = await attempt(input);
    expect(failure).toBeInstanceOf(CatalogFailure);
    const { databases: failed, onlyDatabases, remainder } = failure as CatalogFailure;
    expect([...failed.keys()].toSorted()).toEqual(names.slice(0, 2));
    expect(onlyDatabases).toBe(true);
    expect(failed.get('crash1_whole')).toMatchObject({ final: true });
    expect(failed.get('crash1_whole')?.hint).toContain('next start');
    for (const name of names.slice(2)) expect(await isDone(name)).toBe(true);

    const panics = cluster.log().split('PANIC').length;
    await attempt({ ...input, again: remainder });
    await attempt(spec(names, { roles: [{ name: 'ann' }, { name: 'after_the_crash' }] }));
    expect(cluster.log().split('PANIC').length).toBe(panics);
    expect(await rows(`select rolname from pg_roles where rolname = 'after_the_crash'`)).toHaveLength(1);
    // It can still be deleted.
    await apply(
      cluster,
      spec(names.slice(2), {
        delta_operations: names.slice(0, 2).map((name) => ({ action: 'delete_db', name })),
      }),
      { ...known(), crashes },
    );
    mending.length = 0;
    expect(await databases()).not.toContain('crash1_whole');
  });

  test.runIf(isOldestOrNewest(postgres))('a role that cannot be changed still ends the pass', async () => {
    const holder = await held('postgres', 'alter role ann connection limit 7');
    mending.push(() => destroyPg(holder));
    const failure = await failing(
      spec(['never'], {
        roles: [{ name: 'ann', options: [{ name: 'CONNECTION LIMIT', value: '8', vartype: 'integer' }] }],
      }),
    );
    expect(failure.onlyDatabases).toBe(false);
    expect([...failure.databases.keys()]).toEqual([]);
    expect(await databases()).not.toContain('never');
  });
});
