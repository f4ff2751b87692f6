import { copyFileSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Cluster, scratchDir, startCluster } from '../../../support/cluster.ts';
import { type Installed, installedPostgres } from '../../../support/postgres-versions.ts';
import { apply, inputFor, query, value } from '../support.ts';

const preload = (value: string) => [{ name: 'shared_preload_libraries', value, vartype: 'string' }];

describe('a stock server', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({ conf: 'shared_preload_libraries=pg_stat_statements' });
  });
  afterAll(() => cluster.stop());

  test('gets pg_stat_statements where the settings load its library', async () => {
    await apply(cluster, inputFor(cluster.target, {}));
    const installed = `select count(*)::int from pg_extension where extname = 'pg_stat_statements'`;
    expect(await value(cluster.target, installed)).toBe(0);
    const input = inputFor(cluster.target, { settings: preload('auto_explain,pg_stat_statements') });
    await apply(cluster, input);
    expect(await value(cluster.target, installed)).toBe(1);
    expect((await apply(cluster, input)).statements).toBe(0);
  });

  test('is not kept from starting by an owner of the system database who is in the way of pg_stat_statements', async () => {
    const input = inputFor(cluster.target, { settings: preload('pg_stat_statements') });
    const phase = async () =>
      (await apply(cluster, input)).outcomes.filter((one) => one.phase === 'extensions');
    for (const obstacle of [
      'create view public.pg_stat_statements as select 1 as a',
      'create function public.pg_stat_statements_reset() returns int language sql as $$ select 1 $$',
      'create type public.pg_stat_statements_info as (a int)',
      'drop schema public cascade',
    ]) {
      await query(cluster.target, `drop schema if exists public cascade; create schema public; ${obstacle}`);
      expect(await phase()).toMatchObject([
        { result: 'skipped', reason: expect.stringContaining('is missing, or holds objects') },
      ]);
    }
    await query(cluster.target, 'create schema public');
    expect(await phase()).toMatchObject([{ result: 'done' }]);
  });

  test('skips what needs the neon library', async () => {
    const { outcomes } = await apply(cluster, inputFor(cluster.target, {}));
    expect(outcomes).toMatchObject([
      { phase: 'neon-extension', result: 'skipped', reason: 'the server does not load the library "neon"' },
    ]);
  });

  test('without an audit extension fails before anything is sent', async () => {
    const input = inputFor(cluster.target, { audit_log_level: 'Extended', roles: [{ name: 'unheard' }] });
    await expect(apply(cluster, input)).rejects.toMatchObject({
      message:
        'catalog phase "audit", extension "pgaudit": audit_log_level Extended needs it, but the server does not have it\n' +
        'catalog phase "audit", extension "pgauditlogtofile": audit_log_level Extended needs it, but the server does not have it',
    });
    expect(await query(cluster.target, `select from pg_roles where rolname = 'unheard'`)).toEqual([]);
  });
});

/** A server that finds extensions of the names given, made of nothing, and a library for `neon`. */
function dressUp(postgres: Installed): string {
  const dir = scratchDir('extensions');
  mkdirSync(join(dir, 'extension'));
  const libraries = join(postgres.bindir, '../lib/postgresql');
  const some = readdirSync(libraries).find((name) => name.startsWith('auth_delay'));
  copyFileSync(join(libraries, some ?? 'auth_delay.so'), join(dir, 'neon.so'));
  for (const name of ['neon', 'pgaudit']) {
    writeFileSync(
      join(dir, 'extension', `${name}.control`),
      `default_version = '1.1'\nrelocatable = ${name === 'pgaudit'}\n`,
    );
    writeFileSync(
      join(dir, 'extension', `${name}--1.0.sql`),
      'create function required() returns int language sql as $$ select 1 $$;',
    );
    writeFileSync(join(dir, 'extension', `${name}--1.0--1.1.sql`), 'select 1;');
  }
  return dir;
}

const newest = installedPostgres().findLast(({ major }) => major >= 18);

describe.skipIf(newest === undefined)('a server with the neon and pgaudit extensions', () => {
  let cluster: Cluster;
  beforeAll(async () => {
    const postgres = newest as Installed;
    const dir = dressUp(postgres);
    const conf = `shared_preload_libraries=neon\ndynamic_library_path='${dir}:$libdir'\nextension_control_path='${dir}:$system'`;
    cluster = await startCluster({ postgres, conf });
  });
  afterAll(() => cluster.stop());

  const neon = () =>
    query(
      cluster.target,
      `select extversion, nspname, extrelocatable from pg_extension e join pg_namespace n on n.oid = extnamespace where extname = 'neon'`,
    );

  test('has neon in its schema and in its newest version, also after it was somewhere else', async () => {
    const input = inputFor(cluster.target, {});
    const good = [{ extversion: '1.1', nspname: 'neon', extrelocatable: true }];
    await apply(cluster, input);
    expect(await neon()).toEqual(good);
    expect((await apply(cluster, input)).statements).toBe(0);
    await query(cluster.target, `drop extension neon; create extension neon version '1.0'`);
    await apply(cluster, input);
    expect(await neon()).toEqual(good);
    expect((await apply(cluster, input)).statements).toBe(0);
  });

  test('is audited, except for its system database', async () => {
    const input = inputFor(cluster.target, { audit_log_level: 'Base' });
    await apply(cluster, input);
    expect(
      await value(cluster.target, `select count(*)::int from pg_extension where extname = 'pgaudit'`),
    ).toBe(1);
    const settings = `select setconfig from pg_db_role_setting where setrole = 0 and setdatabase = (select oid from pg_database where datname = 'postgres')`;
    expect(await value(cluster.target, settings)).toEqual(['pgaudit.log=none']);
    expect((await apply(cluster, input)).statements).toBe(0);
  });
});
