import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, chmodSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, test } from 'vitest';
import { readDbsAndRoles } from '../../../src/database/dbs-and-roles.ts';
import { grantOnSchema } from '../../../src/database/grants.ts';
import { collectInsights } from '../../../src/database/insights.ts';
import { Writability } from '../../../src/database/writability.ts';
import { type Cluster, freePort, scratchDir, startCluster } from '../../support/cluster.ts';
import { osUser } from '../../support/postgres-versions.ts';
import { never, run, seen } from '../monitor/support.ts';

const log = pino({ level: 'silent' });

/** Runs `use` beside a replica of a cluster. */
async function withReplica(cluster: Cluster, use: (port: number) => Promise<void>): Promise<void> {
  const { bindir } = cluster.postgres;
  const home = scratchDir('replica');
  const data = join(home, 'data');
  const options = { cwd: '/', ...osUser };
  mkdirSync(data);
  chmodSync(data, 0o700);
  if (osUser !== null) chownSync(data, osUser.uid, osUser.gid);
  const primary = `host=127.0.0.1 port=${cluster.port} user=cloud_admin`;
  execFileSync(join(bindir, 'pg_basebackup'), ['-D', data, '-R', '-c', 'fast', '-d', primary], {
    stdio: 'pipe',
    ...options,
  });
  const port = await freePort();
  const settings = ['-c', `port=${port}`, '-c', 'unix_socket_directories='];
  const postmaster = spawn(join(bindir, 'postgres'), ['-D', data, ...settings], {
    stdio: 'ignore',
    ...options,
  });
  const exited = once(postmaster, 'exit');
  try {
    await seen('the replica', () =>
      run({ ...cluster.target, port }, 'select 1').then(
        () => true,
        () => false,
      ),
    );
    await use(port);
  } finally {
    postmaster.kill('SIGQUIT');
    await exited;
    rmSync(home, { recursive: true, force: true });
  }
}

test('what only reads is answered on a replica, and what writes is refused by the server', async () => {
  const cluster = await startCluster({ conf: "shared_preload_libraries='pg_stat_statements'" });
  try {
    await run(
      cluster.target,
      'create extension pg_stat_statements schema public',
      'create role holder login',
      'create database app',
    );
    await run(
      { ...cluster.target, database: 'app' },
      'create schema held',
      'grant usage on schema held to holder',
    );
    await withReplica(cluster, async (port) => {
      const target = { ...cluster.target, port };
      const grant = { database: 'app', schema: 'held', privileges: ['USAGE'], role: 'holder' };
      await grantOnSchema(grant, target, never);
      await expect(grantOnSchema({ ...grant, privileges: ['CREATE'] }, target, never)).rejects.toThrow(
        /read-only|recovery/,
      );
      await run({ ...target, user: 'holder' }, 'select 1, 2, 3');
      expect(await collectInsights(target, log, never)).toContain('select $1, $2, $3');
      expect((await readDbsAndRoles(target, log, never)).roles.map(({ name }) => name)).toContain('holder');
      await expect(new Writability({ target, log }).check(never)).rejects.toThrow(/read-only|recovery/);
    });
  } finally {
    await cluster.stop();
  }
});
