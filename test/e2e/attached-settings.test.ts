import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { connectPg } from '../../src/pg/client.ts';
import { type Trial, attachTo, rounds, sets } from '../pg/odd/settings.ts';
import { type Cluster, startCluster } from '../support/cluster.ts';
import { rig } from '../support/compute.ts';
import { hostileEnvironment } from '../support/hostile-environment.ts';
import { installedPostgres } from '../support/postgres-versions.ts';
import { eventually } from '../support/program.ts';

const { signal } = new AbortController();
const session = { applicationName: 'test', connectMs: 10_000, queryMs: 30_000, signal };

/** A database for each of the first rounds of values, and one for the last value of each parameter that has more. The system
 *  database and all roles have the values that do harm together.
 *  @returns the names of the databases, and the number of values */
async function attachAll(cluster: Cluster): Promise<{ databases: string[]; values: number }> {
  const open = (database: string): ReturnType<typeof connectPg> =>
    connectPg({ ...cluster.target, database }, session);
  const pg = await open('postgres');
  try {
    await pg.query('create role tenant login; create role leaving; create role heir');
    const found = await rounds(pg);
    const all: readonly (readonly Trial[])[] = [...found.slice(0, 3), found.slice(3).flat()];
    const databases = all.map((_, at) => `round${at}`);
    for (const name of databases) {
      await pg.query(`create database ${name} owner tenant`);
      const inside = await open(name);
      await inside.query('create table public.kept (a int); alter table public.kept owner to leaving');
      await inside.end();
    }
    let values = 0;
    const places = (name: string): string[] => [`database ${name}`, `role cloud_admin in database ${name}`];
    for (const [at, name] of databases.entries())
      values += (await attachTo(pg, all[at] ?? [], places(name))).length;
    const together = sets.flat();
    await attachTo(
      pg,
      [...(all[0] ?? []), ...together],
      ['role all', 'role cloud_admin', ...places('template1')],
    );
    await attachTo(pg, [...(all[1] ?? []), ...together], places('postgres'));
    await pg.query(`alter database postgres set local_preload_libraries = 'nosuch'`);
    return { databases, values };
  } finally {
    await pg.end();
  }
}

async function backUp(cluster: Cluster): Promise<Buffer> {
  const exited = once(cluster.postmaster, 'exit');
  cluster.postmaster.kill('SIGINT');
  await exited;
  const left = ['./postgresql.conf', './postmaster.pid', './postmaster.opts'].map(
    (name) => `--exclude=${name}`,
  );
  return execFileSync('tar', ['-I', 'gzip -1', '-cf', '-', ...left, '-C', cluster.dataDir, '.'], {
    maxBuffer: 1 << 30,
  });
}

test.each(installedPostgres())(
  'PostgreSQL $major with every value of every parameter attached somewhere starts, serves and is configured, whatever the environment says',
  async (postgres) => {
    const cluster = await startCluster({ postgres });
    let made: Awaited<ReturnType<typeof attachAll>>;
    let tarball: Buffer;
    try {
      made = await attachAll(cluster);
      tarball = await backUp(cluster);
    } finally {
      await cluster.stop();
    }
    const { databases, values } = made;
    expect(values).toBeGreaterThan(400);
    const it = await rig(postgres, tarball);
    try {
      const change = (changes: object, roles: object[] = []): Record<string, unknown> => {
        const spec = it.spec(changes);
        const given = spec['cluster'] as { roles: object[]; databases: object[] };
        given.roles = [{ name: 'heir', encrypted_password: null, options: null }, ...roles];
        given.databases = databases.map((name) => ({ name, owner: 'heir', options: null }));
        return spec;
      };
      const deleting = { delta_operations: [{ action: 'delete_role', name: 'leaving' }] };
      const program = it.start({
        spec: change({ ...deleting, drop_subscriptions_before_start: true }),
        env: hostileEnvironment,
      });
      const { error } = await it.until('running', 90_000);
      expect(error).toBeNull();
      await eventually('the migrations', async () => {
        const { services } = (await it.http('GET', '/status')).json<{
          services: { name: string; state: string }[];
        }>();
        expect(JSON.stringify(services)).not.toContain('failed');
        return program.stderr().includes('Finished migration id=') ? true : undefined;
      });
      const roles = [{ name: 'later', encrypted_password: null, options: null }];
      const configured = await it.http('POST', '/configure', it.config(change({}, roles)));
      expect([configured.status, configured.body]).toEqual([200, expect.stringContaining('running')]);
      const ask = async (method: string, path: string): Promise<string> => {
        const answer = await it.http(method, path);
        expect([path, answer.status, answer.status === 200 ? '' : answer.body]).toEqual([path, 200, '']);
        return answer.body;
      };
      for (const path of ['/dbs_and_roles', '/readyz', '/metrics']) await ask('GET', path);
      await ask('POST', '/check_writability');
      for (const name of databases) {
        const dump = await ask('GET', `/database_schema?database=${name}`);
        expect(dump).toContain('ALTER TABLE public.kept OWNER TO heir');
      }
      program.kill('SIGTERM');
      expect(await program.exited()).toBe(0);
    } finally {
      await it.stop();
    }
  },
  180_000,
);
