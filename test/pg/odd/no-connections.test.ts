import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { runPlan } from '../../../src/catalog/render.ts';
import type { CatalogLimits } from '../../../src/catalog/session.ts';
import { type PgClient, destroyPg, sqlState } from '../../../src/pg/client.ts';
import { type Cluster, startCluster } from '../../support/cluster.ts';
import { eventually } from '../../support/program.ts';
import { type SpecParts, apply, inputFor, never, query } from '../catalog/support.ts';
import { hold } from './occupy.ts';

const reserved = 3;
const conf = `max_connections=20\nsuperuser_reserved_connections=${reserved}\nautovacuum=off\nmax_wal_senders=0`;
let cluster: Cluster;
const held: PgClient[] = [];
const lines: string[] = [];
const log = pino({}, { write: (line: string) => void lines.push(line) });
const run = (parts: SpecParts, limits: Partial<CatalogLimits> = {}, verify = false) =>
  apply(cluster, inputFor(cluster.target, parts, { verify }), { log, limits });
const take = async (count: number, user: string): Promise<void> => {
  for (let each = 0; each < count; each++) held.push(await hold({ ...cluster.target, user }));
};
const release = async (): Promise<void> => {
  for (const client of held.splice(0)) destroyPg(client);
  // A server notices the end of a client after a moment.
  await eventually('the end of the sessions', async () => {
    const [row] = await query<{ left: number }>(
      cluster.target,
      `select count(*)::int as left from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()`,
    );
    return row?.left === 0 ? true : undefined;
  });
};

const databases = Array.from({ length: 50 }, (_, at) => ({ name: `d${at}`, owner: 'ann' }));
const spec = { roles: [{ name: 'ann' }, { name: 'bob' }], databases };

beforeAll(async () => {
  cluster = await startCluster({ conf });
  await run({ roles: spec.roles });
});
afterEach(release);
afterAll(() => cluster.stop());

test('with 16 of 20 connections taken a pass creates 50 databases and works in each', async () => {
  await take(16, 'bob');
  await run(spec);
  await release();
  const made = await query(cluster.target, `select from pg_database where datname ~ '^d[0-9]+$'`);
  expect(made).toHaveLength(50);
  expect((await run(spec)).statements).toBe(0);
});

test('with only the reserved ones free it inspects and changes 50 databases', async () => {
  for (const { name } of databases.slice(0, 8))
    await query(
      { ...cluster.target, database: name },
      'alter default privileges in schema public revoke all on tables from neon_superuser',
    );
  await take(17, 'bob');
  const result = await run(spec, {}, true);
  expect(result.outcomes.filter(({ phase }) => phase === 'schema-permissions')).toHaveLength(8);
});

test('with a single connection, too, which the pass then uses in turn, and so does `plan`', async () => {
  await query(cluster.target, 'create role leaving');
  for (const { name } of databases.slice(0, 3))
    await query({ ...cluster.target, database: name }, 'create table t (); alter table t owner to leaving');
  await query(
    { ...cluster.target, database: 'd7' },
    'alter default privileges in schema public revoke all on tables from neon_superuser',
  );
  await take(17, 'bob');
  await take(reserved - 1, 'cloud_admin');
  const parts = {
    ...spec,
    databases: [...databases, { name: 'new1', owner: 'bob' }, { name: 'new2', owner: 'bob' }],
    delta_operations: [{ action: 'delete_role', name: 'leaving' }],
  };
  const planned = await runPlan(inputFor(cluster.target, parts, { verify: true }), {
    target: cluster.target,
    signal: never,
    json: false,
  });
  expect(planned.exitCode).toBe(3);
  lines.splice(0);
  await run(parts, {}, true);
  await release();
  expect(await query(cluster.target, `select from pg_roles where rolname = 'leaving'`)).toEqual([]);
  expect((await run({ ...spec, databases: parts.databases })).statements).toBe(0);
  expect(lines.filter((line) => line.includes('has no free connection'))).toHaveLength(1);
});

test('with none at all it waits for one, and at the limit the error says that the server is full', async () => {
  await take(17, 'bob');
  await take(reserved, 'cloud_admin');
  const failure: unknown = await run(spec, { lockMs: 500 }).catch((error: unknown) => error);
  expect(sqlState(failure)).toBe('53300');
  const waiting = run(spec);
  destroyPg(held.pop() as PgClient);
  expect((await waiting).statements).toBe(0);
});
