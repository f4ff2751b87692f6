import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { migrate } from '../../../src/catalog/migrate.ts';
import { sendTransaction } from '../../../src/catalog/send.ts';
import { inline, multiline } from '../../../src/core/errors.ts';
import { Secret } from '../../../src/core/secret.ts';
import { type Sql, body, literal, sql } from '../../../src/core/sql.ts';
import { grantOnSchema } from '../../../src/database/grants.ts';
import { installExtension } from '../../../src/database/install-extension.ts';
import { SchemaDumps } from '../../../src/database/schema-dump.ts';
import { probe } from '../../../src/monitor/probe.ts';
import { connectPg } from '../../../src/pg/client.ts';
import { type Cluster, startCluster } from '../../support/cluster.ts';
import { withoutStandby } from '../../support/standby.ts';
import { apply, inputFor, never, query, silent } from '../catalog/support.ts';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await startCluster();
  await query(cluster.target, 'create role tenant');
  for (const name of ['app', 'closed']) await query(cluster.target, `create database ${name} owner tenant`);
  await query(cluster.target, 'alter database closed allow_connections false');
});
afterAll(() => cluster.stop());

async function failure(work: Promise<unknown>): Promise<Error> {
  try {
    await work;
  } catch (error) {
    return error as Error;
  }
  throw new Error('it did not fail');
}
const inside = (database: string, text: string): Promise<unknown> =>
  query({ ...cluster.target, database }, text);
/** As a DROP DATABASE that was cut off leaves it. */
async function breakDatabase(): Promise<void> {
  await query(cluster.target, 'drop database if exists broken');
  await query(cluster.target, 'create database broken');
  await query(cluster.target, `update pg_database set datconnlimit = -2 where datname = 'broken'`);
}
const deleting = (name: string): ReturnType<typeof inputFor> =>
  inputFor(cluster.target, { delta_operations: [{ action: 'delete_role', name }] });

test('a role that objects in a closed database depend on: the error names the objects, the database, and the reason', async () => {
  await query(cluster.target, 'create role leaving; alter database closed allow_connections true');
  await inside('closed', 'create schema authorization leaving');
  await query(cluster.target, 'alter database closed allow_connections false');
  const error = await failure(apply(cluster, deleting('leaving')));
  expect(inline(error)).toMatch(/^catalog phase "drop-roles".* SQLSTATE 2BP01.*DETAIL: .*database closed/);
  expect(inline(error)).toContain('database "closed" refers to it, but accepts no connections');
  expect(error).toMatchObject({ hint: expect.stringContaining('ALLOW_CONNECTIONS') });
  // The form of /status and /configure, and the result for each object.
  expect(multiline(error)).toContain('DETAIL: ');
  expect(JSON.stringify(error)).toContain('DETAIL: ');
});

test('a migration that fails names what is in the way, and where', async () => {
  await query(cluster.target, 'create role asked; grant create on database app to asked');
  const text = "do $$ begin execute 'drop role asked'; end $$";
  const migration = { id: 1, name: '0001-x', text, skip: false, needs: 0 };
  const deps = { target: cluster.target, privilegedRole: 'neon_superuser', log: silent, signal: never };
  const words = inline(await failure(migrate([migration], deps)));
  expect(words).toContain('DETAIL: privileges for database app');
  expect(words).toContain('CONTEXT: SQL statement "drop role asked"; PL/pgSQL function inline_code_block');
});

test('a request for a database that accepts no connections says that this is the reason, and a broken one what to do', async () => {
  const grant = { database: 'closed', schema: 'public', privileges: ['USAGE'], role: 'tenant' };
  const refused = await failure(grantOnSchema(grant, cluster.target, never));
  expect(refused.message).toContain('database "closed" is not currently accepting connections');
  expect(refused).toMatchObject({ hint: expect.stringContaining('ALLOW_CONNECTIONS') });
  expect(inline(refused)).toContain('database "closed" accepts no connections');
  await breakDatabase();
  const invalid = await failure(grantOnSchema({ ...grant, database: 'broken' }, cluster.target, never));
  expect(invalid.message).toContain('HINT: Use DROP DATABASE to drop invalid databases.');
  expect(inline(invalid)).not.toContain('accepts no connections');
});

test('/extensions answers with the HINT of the server', async () => {
  const wanted = { extension: 'earthdistance', database: 'app', version: '1.1' };
  const error = await failure(installExtension(wanted, cluster.target, never));
  expect(error.message).toContain('required extension "cube" is not installed (HINT: Use CREATE EXTENSION');
});

test('a dump of a database that accepts no connections says so', async () => {
  const { bindir, major } = cluster.postgres;
  const sibling = (name: string): string => join(bindir, name);
  const bin = { path: '', dir: bindir, major, version: '', sibling };
  const settings = { target: cluster.target, bin, env: { PATH: process.env['PATH'] } };
  const dumps = new SchemaDumps(settings, pino({ level: 'silent' }));
  const error = await failure(dumps.dump('closed', never));
  expect(error.message).toBe('failed to execute pg_dump: database "closed" accepts no connections');
});

test('the monitor passes on the HINT of the server', async () => {
  await breakDatabase();
  const limitsMs = { connect: 10_000, query: 10_000 };
  const options = { applicationName: 'test', limitsMs, onPhase: () => {}, signal: never };
  const error = await failure(probe({ ...cluster.target, database: 'broken' }, options));
  expect(inline(error)).toContain('HINT: Use DROP DATABASE');
});

test('no password of a statement gets into an error, whatever quotes the statement', async () => {
  const password = 'the password in question';
  const run = (quoted: Sql): Sql => sql`do ${body(sql`begin execute ${quoted}; end`)}`;
  const secret = run(literal(new Secret(`create role tenant password '${password}'`)));
  const dropping = sql`drop role tenant`;
  const sent = async (statements: readonly Sql[]): Promise<Error> => {
    const options = { applicationName: 'test', connectMs: 10_000, signal: never };
    return failure(sendTransaction(await connectPg(cluster.target, options), statements, never));
  };
  const error = await sent([sql`select 1`, secret, dropping]);
  expect(inline(error)).toBe('a statement failed: role "tenant" already exists');
  expect(JSON.stringify(error.cause)).not.toContain(password);
  // The server does quote it; and what has no secret says everything, also beside one that has.
  const plain = await sent([run(literal(`create role tenant password '${password}'`))]);
  expect(inline(plain)).toContain(password);
  const other = await sent([sql`set local role ${literal(new Secret('cloud_admin'))}`, dropping]);
  expect(inline(other)).toContain('DETAIL: owner of database app');
});

test('a deferred trigger that fails at the commit quotes no statement of a transaction with a secret', async () => {
  await inside(
    'app',
    `create table t (a text);
     create function f() returns trigger language plpgsql as $$ begin execute format('drop role tenant -- %s', new.a); end $$;
     create constraint trigger f after insert on t deferrable initially deferred for each row execute function f()`,
  );
  const insert = (value: Sql): Sql => sql`insert into public.t values (${value})`;
  const sent = async (statement: Sql): Promise<string> => {
    const options = { applicationName: 'test', connectMs: 10_000, database: 'app', signal: never };
    return inline(
      await failure(sendTransaction(await connectPg(cluster.target, options), [statement], never)),
    );
  };
  expect(await sent(insert(literal(new Secret('hidden'))))).not.toContain('hidden');
  expect(await sent(insert(literal('shown')))).toContain('shown');
});

test('rows of users are in no error', async () => {
  await inside('app', 'create table people (email text primary key check (email <> $$$$), b int not null)');
  const insert = (values: string): Promise<Error> =>
    failure(inside('app', `insert into people values ${values}`));
  for (const values of [`('ann@example.org', 1), ('ann@example.org', 2)`, `('ann@example.org', null)`]) {
    const error = await insert(values);
    expect(JSON.stringify(error)).toContain('ann@example.org');
    expect(inline(error)).not.toContain('ann@example.org');
  }
});

test('a commit that no standby acknowledges ends at our limit, and the error says what to look at', async () => {
  await withoutStandby(cluster.target, async () => {
    const asked = inputFor(cluster.target, { roles: [{ name: 'unacknowledged' }] });
    const error = await failure(apply(cluster, asked, { limits: { statementMs: 500 } }));
    expect(error).toMatchObject({ hint: expect.stringContaining('synchronous_standby_names') });
  });
});
