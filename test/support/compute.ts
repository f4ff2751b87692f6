import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, initialised, scratchDir } from './cluster.ts';
import {
  type FakeStorage,
  type PageserverScript,
  type SafekeeperScript,
  startFakePageserver,
  startFakeSafekeeper,
} from './fake-storage.ts';
import { type Installed, defaultPostgres, osUser } from './postgres-versions.ts';
import { undocumented } from './openapi.ts';
import { type Program, eventually, startProgram } from './program.ts';
import { type Issuer, issuer } from './tokens.ts';

const clusterTarballs = new Map<number, Buffer>();

/** A base backup of an empty cluster that was shut down cleanly, as a pageserver sends it. */
export function baseBackup(postgres: Installed = defaultPostgres()): Buffer {
  const args = ['czf', '-', '--exclude=./postgresql.conf', '-C', initialised(postgres), '.'];
  const tarball = clusterTarballs.get(postgres.major) ?? execFileSync('tar', args, { maxBuffer: 1 << 28 });
  clusterTarballs.set(postgres.major, tarball);
  return tarball;
}

export interface Answer {
  readonly status: number;
  readonly body: string;
  json<T = Record<string, unknown>>(): T;
}

/** One compute with doubles of its storage, and all that a test may want to do to it. */
export interface Rig {
  readonly home: string;
  readonly pgdata: string;
  readonly port: number;
  readonly httpPort: number;
  readonly keys: Issuer;
  readonly pageserver: FakeStorage<PageserverScript>;
  readonly safekeeper: FakeStorage<SafekeeperScript>;
  /** A spec for this compute; a fresh copy at each call. */
  spec(changes?: object): Record<string, unknown>;
  config(spec: object | null): object;
  /** Writes a config file and starts the program on it. */
  start(options?: {
    spec?: object | null;
    args?: readonly string[];
    env?: NodeJS.ProcessEnv;
    httpPort?: number;
    /** A file descriptor for its stderr. */
    stderr?: number;
    /** What the shell does before it becomes the program. */
    before?: string;
  }): Program;
  /** Starts the program with just these arguments besides directory, port and grace time. */
  run(
    args: readonly string[],
    env?: NodeJS.ProcessEnv,
    httpPort?: number,
    stderr?: number,
    before?: string,
  ): Program;
  http(method: string, path: string, body?: unknown): Promise<Answer>;
  /** The same to the internal server. */
  internal(method: string, path: string, body?: unknown): Promise<Answer>;
  /** What the program that was started last has written to stderr. */
  log(): string;
  /** Waits for a status; a program that has exited is the end of hope. */
  until(status: string, limitMs?: number): Promise<Record<string, unknown>>;
  stop(): Promise<void>;
}

const tenant = '3aa8fcc61f6d357410b7de754b1d9001';
const timeline = '641e5342083b2235ee3deb8066819683';

/** @param tarball the base backup; of an empty cluster when left out */
export async function rig(
  postgres: Installed = defaultPostgres(),
  tarball: Buffer = baseBackup(postgres),
): Promise<Rig> {
  const home = scratchDir('e2e');
  const pgdata = join(home, 'pgdata');
  mkdirSync(join(home, 'run'));
  if (osUser !== null) execFileSync('chown', [`${osUser.uid}:${osUser.gid}`, join(home, 'run')]);
  const [port, httpPort, internalPort] = [await freePort(), await freePort(), await freePort()];
  const keys = issuer();
  const token = await keys.token({ compute_id: 'compute-1' });
  const pageserver = await startFakePageserver({ tarball });
  const safekeeper = await startFakeSafekeeper({ flush: '0/169B1D8', commit: '0/169B1D8' });
  const programs: Program[] = [];

  const setting = (name: string, value: string) => ({ name, value, vartype: 'string' });
  const spec = (changes: object = {}): Record<string, unknown> => ({
    format_version: 1,
    suspend_timeout_seconds: 0,
    operation_uuid: '5b2f7c1e-5f43-4d0e-9a51-0c7f1a2b3c4d',
    tenant_id: tenant,
    timeline_id: timeline,
    pageserver_connstring: pageserver.url,
    safekeeper_connstrings: [safekeeper.address],
    cluster: {
      roles: [],
      databases: [],
      settings: [
        setting('port', String(port)),
        setting('listen_addresses', '127.0.0.1'),
        setting('unix_socket_directories', join(home, 'run')),
        setting('log_line_prefix', '%m [%p] '),
        setting('fsync', 'off'),
        setting('shared_buffers', '16MB'),
      ],
    },
    ...changes,
  });
  const config = (given: object | null): object => ({ spec: given, compute_ctl_config: { jwks: keys.jwks } });

  const run: Rig['run'] = (args, env = {}, http = httpPort, stderr, before) => {
    const connstr = ['-C', `postgresql://cloud_admin@127.0.0.1:${port}/postgres`];
    const common = [...(args.includes('-D') ? [] : ['-D', pgdata]), ...(args.includes('-C') ? [] : connstr)];
    // Whoever wants any port is a second one beside another.
    const internal = http === 0 ? 0 : internalPort;
    const ports = ['--external-http-port', String(http), '--internal-http-port', String(internal)];
    const program = startProgram(
      'compute_ctl',
      [...common, ...ports, '--exit-grace-ms', '1500', ...args],
      {
        PATH: `${postgres.bindir}:${process.env['PATH']}`,
        NEON_COMPUTE_TESTING_BASEBACKUP_RETRIES: '0',
        ...env,
      },
      stderr,
      before,
    );
    programs.push(program);
    return program;
  };

  const http: Rig['http'] = (method, path, body) => ask(httpPort, method, path, body);
  const ask = async (to: number, method: string, path: string, body?: unknown): Promise<Answer> => {
    const response = await fetch(`http://127.0.0.1:${to}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    const contentType = response.headers.get('content-type');
    const found = undocumented({ method, target: path, status: response.status, contentType, body: text });
    if (found.length > 0) throw new Error(found.join('\n'));
    return { status: response.status, body: text, json: <T>() => JSON.parse(text) as T };
  };

  return {
    home,
    pgdata,
    port,
    httpPort,
    keys,
    pageserver,
    safekeeper,
    spec,
    config,
    start({ spec: given = spec(), args = [], env = {}, httpPort: http = httpPort, stderr, before } = {}) {
      const file = join(home, 'config.json');
      writeFileSync(file, JSON.stringify(config(given)));
      return run(['-c', file, '-i', 'compute-1', ...args], env, http, stderr, before);
    },
    run,
    http,
    internal: (method, path, body) => ask(internalPort, method, path, body),
    log: () => programs.at(-1)?.stderr() ?? '',
    async until(wanted, limitMs = 120_000) {
      const program = programs.at(-1);
      const probe = async (): Promise<Record<string, unknown> | undefined> => {
        if (program?.child.exitCode !== null) return {};
        const answer = (await http('GET', '/status')).json();
        return answer['status'] === wanted ? answer : undefined;
      };
      const found = await eventually(`status ${wanted}`, probe, limitMs).catch(() => ({}));
      if (!('status' in found)) throw new Error(`status ${wanted} was not seen\n${program?.output()}`);
      return found;
    },
    async stop() {
      for (const program of programs) program.kill('SIGKILL');
      for (const program of programs) await program.exited();
      killAllOf(pgdata);
      await pageserver.stop();
      await safekeeper.stop();
      rmSync(home, { recursive: true, force: true });
    },
  };
}

/** Pids of the processes that work in a directory. */
export function processesIn(dir: string): number[] {
  const list = execFileSync('sh', ['-c', 'ls -l /proc/[0-9]*/cwd 2>/dev/null || true'], { encoding: 'utf8' });
  return list
    .split('\n')
    .filter((line) => line.includes(` -> ${dir}`))
    .map((line) => Number(/\/proc\/(\d+)\/cwd/.exec(line)?.[1]));
}

/** What a SIGKILLed compute_ctl leaves is the next start's business; after a test it is ours. */
export const killAllOf = (dir: string): void => signalAll(processesIn(dir), 'SIGKILL');

/** Those that have ended meanwhile, as sessions do, are left out. */
export function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}
