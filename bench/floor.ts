import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  copyFileSync,
  createWriteStream,
  existsSync,
  mkdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import copyStreams from 'pg-copy-streams';
import type { LocalJson } from '../scripts/local-storage.mjs';
import { osUser } from '../test/support/postgres-versions.ts';

async function fetchTarball(state: LocalJson, file: string): Promise<void> {
  const { tenantId, timelineId, ports } = state;
  const client = new pg.Client({
    host: '127.0.0.1',
    port: ports.pageserver,
    user: 'bench',
    password: state.storageToken,
  });
  await client.connect();
  await pipeline(
    client.query(copyStreams.to(`basebackup ${tenantId} ${timelineId} --gzip`)),
    createWriteStream(file),
  );
  await client.end();
}

let serial = 0;

/** What every start needs: the base backup of the storage, unpacked by tar, and a Postgres on it until it is ready. */
export async function floorRun(
  state: LocalJson,
  { dir, bindir }: { readonly dir: string; readonly bindir: string },
): Promise<{ floor_untar: number; floor_postgres: number; floor: number }> {
  const tarball = join(dir, 'floor.tar.gz');
  await fetchTarball(state, tarball);
  chmodSync(tarball, 0o644);
  const data = join(dir, `floor-${serial++}`);
  mkdirSync(data, { mode: 0o700 });
  if (osUser !== null) chownSync(data, osUser.uid, osUser.gid);
  const user = osUser ?? {};
  const untarStart = performance.now();
  execFileSync('tar', ['xzf', tarball, '-C', data], user);
  const untar = performance.now() - untarStart;
  copyFileSync(join(dir, 'pgdata/postgresql.conf'), join(data, 'postgresql.conf'));
  chmodSync(join(data, 'postgresql.conf'), 0o644);
  writeFileSync(
    join(data, 'postgresql.auto.conf'),
    `port = ${state.ports.postgres}\nlisten_addresses = ''\nunix_socket_directories = '${data}'\n`,
  );
  const startStart = performance.now();
  const postgres = spawn(join(bindir, 'postgres'), ['-D', data], { stdio: 'ignore', cwd: '/', ...user });
  const pidFile = join(data, 'postmaster.pid');
  while (!(existsSync(pidFile) && readFileSync(pidFile, 'utf8').trimEnd().endsWith('ready'))) {
    if (postgres.exitCode !== null) throw new Error('the bare Postgres ended');
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  const start = performance.now() - startStart;
  postgres.kill('SIGQUIT');
  await once(postgres, 'exit');
  return { floor_untar: untar, floor_postgres: start, floor: untar + start };
}
