import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { withPg } from '../../src/pg/client.ts';
import { type Rig, rig } from '../support/compute.ts';
import { type Installed, defaultPostgres, installedPostgres } from '../support/postgres-versions.ts';
import { eventually } from '../support/program.ts';

let compute: Rig;
const begin = async (postgres?: Installed): Promise<void> => {
  compute = await rig(postgres);
};
afterEach(() => compute.stop());

async function query<T extends object>(sql: string): Promise<T[]> {
  const { port } = compute;
  const target = {
    host: '127.0.0.1',
    port,
    user: 'cloud_admin',
    password: null,
    database: 'postgres',
    options: '',
  };
  const options = {
    applicationName: 'test',
    connectMs: 5000,
    queryMs: 5000,
    signal: new AbortController().signal,
  };
  return withPg(target, options, async (pg) => (await pg.query<T>(sql)).rows);
}

const replayed = async (): Promise<string> =>
  (await query<{ lsn: string }>('select pg_last_wal_replay_lsn()::text as lsn'))[0]?.lsn ?? '';

const primarySpec = (): object => {
  const spec = compute.spec();
  const cluster = spec['cluster'] as object;
  return {
    ...spec,
    cluster: { ...cluster, roles: [{ name: 'promoted', encrypted_password: null, options: null }] },
  };
};

const promote = (wal_flush_lsn: string, spec = primarySpec()) =>
  compute.http('POST', '/promote', { spec, wal_flush_lsn });

test('a replica becomes a primary after a first try that failed, with nothing else let in meanwhile', async () => {
  await begin();
  compute.start({ spec: compute.spec({ mode: 'Replica' }) });
  await compute.until('running');
  const [first, second, configure] = await Promise.all([
    promote('F0/0'),
    promote(await replayed()),
    eventually('the refusal', async () => {
      const body = {
        spec: compute.spec({ mode: 'Replica' }),
        compute_ctl_config: { jwks: compute.keys.jwks },
      };
      const answer = await compute.http('POST', '/configure', body);
      return answer.status === 412 ? answer : undefined;
    }),
  ]);
  expect(configure.body).toContain('a promotion is running');
  expect(first.status).toBe(500);
  expect(first.json()['error']).toContain("didn't catch up with primary in 20 retries");
  expect(second.json()).toEqual(first.json());
  expect(await query('select pg_is_in_recovery() as still')).toEqual([{ still: true }]);
  expect(readFileSync(join(compute.pgdata, 'postgresql.conf'), 'utf8')).toContain(
    'neon.compute_mode=replica',
  );

  const done = await promote(await replayed());
  expect(done.json()).toEqual({
    status: 'completed',
    lsn_wait_time_ms: expect.any(Number) as number,
    pg_promote_time_ms: expect.any(Number) as number,
    reconfigure_time_ms: expect.any(Number) as number,
  });
  expect((await promote('F0/0')).json()).toEqual(done.json());
  expect(await query('select pg_is_in_recovery() as still')).toEqual([{ still: false }]);
  expect(await query("select rolname from pg_roles where rolname = 'promoted'")).toHaveLength(1);
  expect(readFileSync(join(compute.pgdata, 'postgresql.conf'), 'utf8')).toContain(
    'neon.compute_mode=primary',
  );
  await compute.until('running');
  // It counts as a primary now, so its end has an LSN.
  const { lsn } = (await compute.http('POST', '/terminate?mode=immediate')).json<{ lsn: string | null }>();
  expect(lsn).toBe('0/169B1D8');
});

test('a misspelt setting in the spec of the primary fails the promotion, and the replica stays one until it is corrected', async () => {
  await begin();
  compute.start({ spec: compute.spec({ mode: 'Replica' }) });
  await compute.until('running');
  const { cluster, ...rest } = primarySpec() as { cluster: { settings: object[] } };
  const settings = [...cluster.settings, { name: 'shared_bufers', value: '1MB', vartype: 'string' }];
  const refused = await promote(await replayed(), { ...rest, cluster: { ...cluster, settings } });
  expect(refused.json()['error']).toMatch(/postgresql\.conf, line \d+: shared_bufers/);
  expect(await query('select pg_is_in_recovery() as still')).toEqual([{ still: true }]);
  expect(readFileSync(join(compute.pgdata, 'postgresql.conf'), 'utf8')).toContain(
    'neon.compute_mode=replica',
  );
  expect((await promote(await replayed())).json()).toMatchObject({ status: 'completed' });
  expect((await compute.http('GET', '/status')).json()).not.toHaveProperty('pending_restart');
});

test('a primary is not a replica', async () => {
  await begin();
  compute.start();
  await compute.until('running');
  const answer = await promote('0/1');
  expect(answer.status).toBe(500);
  expect(answer.json()).toEqual({ status: 'failed', error: 'compute mode "primary" is not replica' });
});

const others = installedPostgres().filter(({ major }) => major !== defaultPostgres().major);

test.each(others)('on PostgreSQL $major a replica becomes a primary, too', async (postgres) => {
  await begin(postgres);
  compute.start({ spec: compute.spec({ mode: 'Replica' }) });
  await compute.until('running');
  expect((await promote(await replayed())).json()).toMatchObject({ status: 'completed' });
  expect(await query('select pg_is_in_recovery() as still')).toEqual([{ still: false }]);
  expect(await query("select rolname from pg_roles where rolname = 'promoted'")).toHaveLength(1);
});
