import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readName } from '../../../src/pg/raw-name.ts';
import { type Cluster, startCluster } from '../../support/cluster.ts';
import { installedPostgres } from '../../support/postgres-versions.ts';
import { apply, inputFor, query, value } from '../catalog/support.ts';

const encodings = ['LATIN1', 'EUC_JP', 'SQL_ASCII', 'UTF8'] as const;
/** Names that none but UTF8 can write, and of bytes that are no characters of EUC_JP. */
const [going, owner, grantor] = ['山田 "退職" 😀', `所有者's`, 'Größe Ж \\x'];

describe.each(installedPostgres())('PostgreSQL $major', (postgres) => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({ postgres, conf: 'autovacuum=off' });
  });
  afterAll(() => cluster.stop());

  const made = encodings.map((encoding) => ({
    name: `データ ${encoding}`,
    owner,
    options: [
      { name: 'ENCODING', value: encoding, vartype: 'string' },
      { name: 'TEMPLATE', value: 'template0', vartype: 'string' },
      { name: 'LC_COLLATE', value: 'C', vartype: 'string' },
      { name: 'LC_CTYPE', value: 'C', vartype: 'string' },
    ],
  }));

  test('roles and databases with names that a database cannot write', async () => {
    const { target } = cluster;
    const roles = [{ name: owner }, { name: grantor }];
    const spec = { roles: [...roles, { name: going }], databases: made };
    await apply(cluster, inputFor(target, spec));
    expect((await apply(cluster, inputFor(target, spec, { verify: true }))).statements).toBe(0);
    // The names come from the catalog here, too: no statement could say them.
    const oid = async (name: string): Promise<unknown> =>
      value(target, 'select oid from pg_roles where rolname = $1', [name]);
    const [goingOid, grantorOid] = [await oid(going), await oid(grantor)];
    for (const { name } of made) {
      await query(
        { ...target, database: name },
        `do $x$
         declare going name := pg_get_userbyid(${goingOid}); grantor name := pg_get_userbyid(${grantorOid});
         begin
           create schema s; create table s.mine (a int); insert into s.mine values (1);
           create table s.other (a int);
           execute format('alter table s.mine owner to %I', going);
           execute format('grant usage on schema s to %I, %I', going, grantor);
           execute format('grant select, insert on s.other to %I with grant option', grantor);
           execute format('set local role %I', grantor);
           execute format('grant select, insert on s.other to %I with grant option', going);
           execute format('set local role %I', going);
           execute 'grant select on s.other to public';
           execute 'reset role';
           execute format('alter role %I superuser', grantor);
         end $x$`,
      );
    }
    const after = { roles, databases: made, delta_operations: [{ action: 'delete_role', name: going }] };
    await apply(cluster, inputFor(target, after));
    expect(await oid(going)).toBeUndefined();
    const ownerOid = await oid(owner);
    for (const { name } of made) {
      const inside = { ...target, database: name };
      expect(await value(inside, `select relowner from pg_class where relname = 'mine'`)).toBe(ownerOid);
      expect(await value(inside, 'select count(*)::int from s.mine')).toBe(1);
      expect(
        await value(
          inside,
          `select count(*)::int from aclexplode((select relacl from pg_class where relname = 'other')) where grantee <> 10`,
        ),
      ).toBe(2);
      const schemaOwner = await value(inside, `select nspowner from pg_namespace where nspname = 'public'`);
      // 6171 is pg_database_owner.
      expect(schemaOwner).toBe(postgres.major === 14 ? ownerOid : 6171);
    }
    expect((await apply(cluster, inputFor(target, after))).statements).toBe(0);
  });

  test('roles with names whose bytes no database but that of their creation can read', async () => {
    const { target } = cluster;
    const latin = { ...target, database: 'データ LATIN1' };
    await query(latin, `create role "müller"; create role "bäcker"; create role plain_role`);
    const byOid = (name: string): Promise<unknown> =>
      value(latin, `select oid from pg_roles where rolname = '${name}'`);
    const [miller, baker] = [await byOid('müller'), await byOid('bäcker')];
    const unlisted = ['unlisted_utf8', 'unlisted_euc_jp'];
    await query(target, `create database unlisted_utf8`);
    await query(
      target,
      `create database unlisted_euc_jp encoding 'EUC_JP' template template0 lc_collate 'C' lc_ctype 'C'`,
    );
    for (const database of unlisted) {
      await query(
        { ...target, database },
        `do $x$ begin
        execute format('alter database ${database} owner to %I', pg_get_userbyid(${miller}));
        create table public.mine (a int); alter table public.mine owner to plain_role; create table public.other (a int);
        execute format('grant usage, create on schema public to %I, plain_role', pg_get_userbyid(${baker}));
        execute format('grant select on public.other to %I with grant option', pg_get_userbyid(${baker}));
        execute format('set local role %I', pg_get_userbyid(${baker}));
        grant select on public.other to plain_role with grant option; reset role;
        execute format('revoke usage on schema public from %I, public', pg_get_userbyid(${baker})); end $x$`,
      );
    }
    await apply(
      cluster,
      inputFor(target, { delta_operations: [{ action: 'delete_role', name: 'plain_role' }] }),
    );
    expect(await query(target, `select from pg_roles where rolname = 'plain_role'`)).toEqual([]);
    for (const database of unlisted)
      expect(
        await value({ ...target, database }, `select relowner from pg_class where relname = 'mine'`),
      ).toBe(miller);
  });

  test('a database whose name is not UTF-8', async () => {
    const { target } = cluster;
    const latin = { ...target, database: 'データ LATIN1' };
    await query(latin, 'create database "größe"');
    await query(latin, 'create database "größe 2"');
    await query(target, 'create role met_there');
    const inside = { ...target, database: readName(Buffer.from('größe', 'latin1')) };
    expect(await value(inside, 'select datname from pg_database where datname = current_database()')).toBe(
      'gr\uFFFD\uFFFDe',
    );
    await query(inside, 'create table mine (a int); alter table mine owner to met_there');
    const input = inputFor(target, { delta_operations: [{ action: 'delete_role', name: 'met_there' }] });
    await apply(cluster, input);
    expect(await query(target, `select from pg_roles where rolname = 'met_there'`)).toEqual([]);
    expect(await value(inside, `select pg_get_userbyid(relowner) from pg_class where relname = 'mine'`)).toBe(
      'neon_superuser',
    );
    // The rest of an interrupted DROP DATABASE, which no statement of ours can name.
    await query(
      target,
      `update pg_database set datconnlimit = -2 where pg_catalog.encode(namesend(datname), 'hex') like '6772f6%'`,
    );
    expect(
      (await apply(cluster, input)).outcomes.filter(({ phase }) => phase === 'drop-invalid-databases'),
    ).toEqual([
      expect.objectContaining({ object: String.raw`database "gr\udcf6\udcdfe"`, result: 'skipped' }),
      expect.objectContaining({ object: String.raw`database "gr\udcf6\udcdfe 2"`, result: 'skipped' }),
    ]);
  });
});
