import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import type { PgTarget } from '../../src/pg/target.ts';
import { testCache } from '../../scripts/shared-cache.mjs';
import { type Installed, defaultPostgres, osUser } from './postgres-versions.ts';
import { scratchDir } from './scratch.ts';

export { scratchDir } from './scratch.ts';

const worker = Number(process.env['VITEST_POOL_ID'] ?? 0) % 4;
const portsEach = 3000;
let lastPort = Math.floor(Math.random() * portsEach);

/** A loopback port that nobody listens on and nobody is given: below those that the system hands out, in a range of
 *  this worker's own, and not one that was returned shortly before. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < portsEach; tries++) {
    lastPort = (lastPort + 1) % portsEach;
    const port = 12_000 + worker * portsEach + lastPort;
    const server = createServer().listen(port, '127.0.0.1');
    try {
      await once(server, 'listening');
    } catch {
      continue;
    }
    server.close();
    await once(server, 'close');
    return port;
  }
  throw new Error('no port is free');
}

const asOsUser = osUser ?? {};

/** A freshly initialised data directory for `postgres`, made once per version and copied from then on. */
export function initialised(postgres: Installed): string {
  const dir = join(testCache, `template-${postgres.major}`);
  if (existsSync(dir)) return dir;
  const home = scratchDir('initdb');
  const fresh = join(home, 'data');
  const args = ['-D', fresh, '-U', 'cloud_admin', '-A', 'trust', '-E', 'UTF8', '--locale=C', '-N'];
  execFileSync(join(postgres.bindir, 'initdb'), args, { stdio: 'pipe', cwd: '/', ...asOsUser });
  try {
    renameSync(fresh, dir);
  } catch {
    // Another worker was faster; its template is as good.
  }
  rmSync(home, { recursive: true });
  return dir;
}

export interface Cluster {
  readonly postgres: Installed;
  readonly dataDir: string;
  readonly port: number;
  readonly target: PgTarget;
  readonly postmaster: ChildProcess;
  log(): string;
  /** Immediate stop, children awaited, directory removed. */
  stop(): Promise<void>;
}

/** In the data directory, not in /dev/shm, where a server that is killed would leave it for good. */
const sharedMemory = 'dynamic_shared_memory_type=mmap\n';

/** Starts a real server on a free loopback port, superuser `cloud_admin`, and waits until it is ready. */
export async function startCluster(options: { postgres?: Installed; conf?: string } = {}): Promise<Cluster> {
  const postgres = options.postgres ?? defaultPostgres();
  const home = scratchDir('pg');
  const dataDir = join(home, 'data');
  cpSync(initialised(postgres), dataDir, { recursive: true, preserveTimestamps: true });
  if (osUser !== null) execFileSync('chown', ['-R', `${osUser.uid}:${osUser.gid}`, dataDir]);
  chmodSync(dataDir, 0o700);
  const port = await freePort();
  mkdirSync(join(home, 'run'));
  if (osUser !== null) chownSync(join(home, 'run'), osUser.uid, osUser.gid);
  const conf = `port=${port}\nlisten_addresses='127.0.0.1'\nunix_socket_directories='${home}/run'\nfsync=off\nmax_connections=50\nshared_buffers=16MB\n${sharedMemory}${options.conf ?? ''}\n`;
  writeFileSync(join(dataDir, 'postgresql.conf'), conf);
  const logFile = join(home, 'log');
  const fd = openSync(logFile, 'a');
  const postmaster = spawn(join(postgres.bindir, 'postgres'), ['-D', dataDir], {
    stdio: ['ignore', fd, fd],
    cwd: '/',
    detached: true,
    ...asOsUser,
  });
  const log = (): string => readFileSync(logFile, 'utf8');
  const exited = once(postmaster, 'exit');
  const ready = (): boolean =>
    existsSync(join(dataDir, 'postmaster.pid')) &&
    readFileSync(join(dataDir, 'postmaster.pid'), 'utf8').trimEnd().endsWith('ready');
  for (let waited = 0; !ready(); waited += 10) {
    if (postmaster.exitCode !== null || waited > 30_000) throw new Error(`server did not start:\n${log()}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return {
    postgres,
    dataDir,
    port,
    target: {
      host: '127.0.0.1',
      port,
      user: 'cloud_admin',
      password: null,
      database: 'postgres',
      options: '',
      major: postgres.major,
    },
    postmaster,
    log,
    async stop() {
      if (postmaster.exitCode === null && postmaster.signalCode === null) {
        postmaster.kill('SIGCONT');
        postmaster.kill('SIGQUIT');
        await exited;
      }
      rmSync(home, { recursive: true, force: true });
    },
  };
}
