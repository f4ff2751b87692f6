import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mustAcceptConnections } from '../../../src/database/alive.ts';
import { inline } from '../../../src/core/errors.ts';
import { readDbsAndRoles } from '../../../src/database/dbs-and-roles.ts';
import { grantOnSchema } from '../../../src/database/grants.ts';
import { collectInsights } from '../../../src/database/insights.ts';
import { installExtension } from '../../../src/database/install-extension.ts';
import { withPg } from '../../../src/pg/client.ts';
import { type Cluster, freePort, startCluster } from '../../support/cluster.ts';
import { withoutStandby } from '../../support/standby.ts';
import { eventually } from '../../support/program.ts';

const log = pino({ level: 'silent' });
const { signal } = new AbortController();
let it: Cluster;

beforeAll(async () => {
  it = await startCluster({ conf: "shared_preload_libraries='pg_stat_statements'\nlog_statement=all" });
  await query('create database app');
});
afterAll(() => it.stop());

const query = async <T = Record<string, unknown>>(text: string, database = 'postgres'): Promise<T[]> =>
  withPg(
    it.target,
    { applicationName: 'test', connectMs: 5000, queryMs: 20_000, database, signal },
    async (pg) => (await pg.query(text)).rows as T[],
  );

const written = (what: RegExp): number => it.log().match(new RegExp(what, 'gi'))?.length ?? 0;

test('a grant is made once, for roles without a login too, and not repeated', async () => {
  const nasty = `we"ird' $x\\ 😀`;
  const quoted = `"${nasty.replaceAll('"', '""')}"`;
  await query(`create schema ${quoted}`, 'app');
  await query('create role reader nologin');
  const grant = {
    database: 'app',
    schema: nasty,
    privileges: ['USAGE', 'CREATE', 'USAGE'],
    role: 'reader',
  };
  const before = written(/grant .* on schema/);
  await grantOnSchema(grant, it.target, signal);
  const has = `select has_schema_privilege('reader', oid, 'usage') and has_schema_privilege('reader', oid, 'create') ok
    from pg_namespace where nspname = $$${nasty}$$`;
  expect(await query(has, 'app')).toEqual([{ ok: true }]);
  await grantOnSchema(grant, it.target, signal);
  expect(written(/grant .* on schema/) - before).toBe(1);
});

test('a grant that cannot be made says why in the words of the server', async () => {
  const grant = { database: 'app', schema: 'public', privileges: ['USAGE'], role: 'cloud_admin' };
  const refused = (change: object) => grantOnSchema({ ...grant, ...change }, it.target, signal);
  const what = 'failed to grant role privileges to the schema';
  await expect(refused({ role: 'nobody' })).rejects.toThrow(`${what}: role "nobody" does not exist`);
  await expect(refused({ schema: 'none' })).rejects.toThrow(`${what}: schema "none" does not exist`);
  await expect(refused({ database: 'none' })).rejects.toThrow(`${what}: database "none" does not exist`);
  await expect(refused({ privileges: ['SELECT'] })).rejects.toThrow(`${what}: invalid privilege type SELECT`);
  await expect(refused({ role: 'x'.repeat(64) })).rejects.toMatchObject({ code: 'bad_request' });
});

test('a grant on a replica succeeds when the role holds it already, and only then', async () => {
  await query('create schema held; create role holder; grant usage on schema held to holder', 'app');
  // What a replica has in common with this: no write succeeds.
  const reading = { ...it.target, options: '-c default_transaction_read_only=on' };
  const grant = { database: 'app', schema: 'held', privileges: ['USAGE'], role: 'holder' };
  await grantOnSchema(grant, reading, signal);
  await expect(grantOnSchema({ ...grant, privileges: ['CREATE'] }, reading, signal)).rejects.toThrow(
    'read-only',
  );
});

test.each([
  ['schema', { schema: 'pg_catalog' }],
  ['schema', { schema: 'pg_toast' }],
  ['schema', { schema: 'pg_temp_3' }],
  ['schema', { schema: 'pg_anything\n' }],
  ['schema', { schema: 'information_schema' }],
  ['schema', { schema: 'neon' }],
  ['schema', { schema: 'neon_migration' }],
  ['database', { database: 'postgres' }],
  ['database', { database: 'template0' }],
  ['database', { database: 'template1' }],
])(
  'a grant that names a %s of the system is refused with its path, before any connection',
  async (path, change) => {
    const grant = {
      database: 'app',
      schema: 'public',
      privileges: ['USAGE', 'CREATE'],
      role: 'public',
      ...change,
    };
    await expect(grantOnSchema(grant, { ...it.target, port: 1 }, signal)).rejects.toMatchObject({
      code: 'spec_shape',
      message: expect.stringMatching(`^${path}: `) as string,
    });
  },
);

test('an extension of the system database, of a template, or in a schema of the system is refused', async () => {
  const install = (change: object) =>
    installExtension({ extension: 'hstore', database: 'app', version: '1.8', ...change }, it.target, signal);
  for (const database of ['postgres', 'template0', 'template1'])
    await expect(install({ database })).rejects.toMatchObject({
      code: 'spec_shape',
      message: expect.stringMatching(/^database: /) as string,
    });
  await query('create schema neon; create extension citext schema neon', 'app');
  for (const extension of ['plpgsql', 'citext'])
    await expect(install({ extension, version: '9' })).rejects.toMatchObject({
      code: 'spec_shape',
      message: expect.stringMatching(/^extension: ".*" is a schema of the system$/) as string,
    });
  // What is there already in that version is nothing to do, wherever it is.
  await install({ extension: 'plpgsql', version: '1.0' });
});

test('an extension is created, left alone and updated, and never downgraded', async () => {
  const install = (version: string, extension = 'hstore') =>
    installExtension({ extension, database: 'app', version }, it.target, signal);
  await install('1.7');
  const installed =
    'select extversion v, extnamespace::regnamespace::text s from pg_extension where extname=';
  expect(await query(`${installed}'hstore'`, 'app')).toEqual([{ v: '1.7', s: 'public' }]);
  const before = written(/(create|alter) extension/);
  await install('1.7');
  expect(written(/(create|alter) extension/)).toBe(before);
  await install('1.8');
  expect(await query(`${installed}'hstore'`, 'app')).toEqual([{ v: '1.8', s: 'public' }]);
  await expect(install('1.7')).rejects.toThrow(
    'failed to install extension: extension "hstore" has no update path from version "1.8" to version "1.7"',
  );
  await expect(install('1', 'no; drop')).rejects.toThrow(/^failed to install extension: .*"no; drop"/);
});

test('two requests for the same extension at once both succeed', async () => {
  const wanted = { extension: 'pg_trgm', database: 'app', version: '1.6' };
  const all = Array.from({ length: 5 }, () => installExtension(wanted, it.target, signal));
  await expect(Promise.all(all)).resolves.toHaveLength(5);
});

test('insights are valid JSON, without the statements of the administrator, and keep large numbers', async () => {
  const read = async () =>
    JSON.parse(await collectInsights(it.target, log, signal)) as { pg_stat_statements: object[] };
  expect(await read()).toEqual({ pg_stat_statements: [] });
  await query('create extension pg_stat_statements schema public');
  await query('create role app login');
  const app = { ...it.target, user: 'app' };
  const statement = `select 'quote" and \\backslash' as "col""umn"`;
  await withPg(app, { applicationName: 'test', connectMs: 5000, signal }, (pg) => pg.query(statement));
  const rows = (await read()).pg_stat_statements as { query: string; queryid: number }[];
  expect(rows.map((row) => row.query)).toContain('select $1 as "col""umn"');
  expect(rows.some((row) => row.query.includes('create role'))).toBe(false);
  const text = await collectInsights(it.target, log, signal);
  const [id] = await query<{ id: string }>(
    `select queryid::text id from pg_stat_statements where query like '%col""umn%' and query not like '%like%'`,
  );
  expect(text).toContain(`"queryid":${id?.id}`);
  expect(text.startsWith('{"pg_stat_statements": [{"')).toBe(true);
});

test('insights wait neither for a storage that is away nor for a lock of a user, who is named', async () => {
  await withoutStandby(it.target, async () => {
    expect(await collectInsights(it.target, log, signal)).toContain('"query"');
  });
  const session = { applicationName: 'test', connectMs: 5000, signal };
  await withPg(it.target, session, async (pg) => {
    const { rows } = await pg.query<{ pid: number }>('select pg_backend_pid() as pid');
    await pg.query('begin; alter schema public owner to app');
    const error: unknown = await collectInsights(it.target, log, signal).catch((thrown: unknown) => thrown);
    expect(inline(error)).toBe(
      `reading the statement statistics failed: an object is locked by process ${rows[0]?.pid} of role "cloud_admin" in database "postgres" (application "test")`,
    );
    await pg.query('rollback');
  });
});

test('a view that a user put in the place of the statistics is not read', async () => {
  await query('drop extension if exists pg_stat_statements');
  await query(`create function trap() returns float language plpgsql as
    $$ begin raise exception 'the trap was sprung'; end $$`);
  await query(`create view public.pg_stat_statements as
    select 0::oid userid, trap() mean_exec_time, 0::float mean_plan_time`);
  expect(await collectInsights(it.target, log, signal)).toBe('{"pg_stat_statements": []}');
  await query('drop view public.pg_stat_statements');
});

test('databases and roles come with nasty names, hashes and flags', async () => {
  const nasty = `db "q" 'a' = \\ 😀`;
  await query(`create role "${nasty.replaceAll('"', '""')}" password 'x'`);
  await query(`create database "${nasty.replaceAll('"', '""')}" owner "${nasty.replaceAll('"', '""')}"`);
  const { roles, databases } = await readDbsAndRoles(it.target, log, signal);
  expect(roles.map(({ name }) => name)).toEqual(expect.arrayContaining(['cloud_admin', 'pg_monitor', nasty]));
  const hash = roles.find(({ name }) => name === nasty)?.encrypted_password;
  expect(hash).toMatch(/^SCRAM-SHA-256\$/);
  expect(databases.find(({ name }) => name === nasty)).toEqual({
    name: nasty,
    owner: nasty,
    options: null,
    restrict_conn: false,
    invalid: false,
  });
  expect(databases.find(({ name }) => name === 'template0')).toMatchObject({ restrict_conn: true });
});

test('a server that turns us away is alive, one that is not there is not', async () => {
  await mustAcceptConnections(it.target, signal);
  await mustAcceptConnections({ ...it.target, user: 'unknown' }, signal);
  const nobody = { ...it.target, port: await freePort() };
  await expect(mustAcceptConnections(nobody, signal)).rejects.toMatchObject({ code: 'sql' });
  await expect(collectInsights(nobody, log, signal)).rejects.toMatchObject({ code: 'sql' });
  await expect(readDbsAndRoles(nobody, log, signal)).rejects.toMatchObject({ code: 'sql' });
});

test('a client that leaves ends its statement in the server', async () => {
  const leaving = new AbortController();
  const sessions = async (): Promise<number> => {
    const rows = await query<{ n: number }>(`select count(*)::int n from pg_stat_activity
      where application_name = 'compute_ctl:set_role_grants' and wait_event_type = 'Lock'`);
    return rows[0]?.n ?? -1;
  };
  await withPg(
    it.target,
    { applicationName: 'test', connectMs: 5000, database: 'app', signal },
    async (pg) => {
      await pg.query('create role late');
      await pg.query('begin; grant usage on schema public to late');
      const grant = { database: 'app', schema: 'public', privileges: ['CREATE'], role: 'late' };
      const waiting = grantOnSchema(grant, it.target, leaving.signal).catch((error: unknown) => error);
      await eventually('the wait for the lock', async () => ((await sessions()) === 1 ? true : undefined));
      leaving.abort();
      expect(await waiting).toMatchObject({ name: 'AbortError' });
      await eventually('its end', async () => ((await sessions()) === 0 ? true : undefined), 10_000);
      await pg.query('rollback');
    },
  );
});
