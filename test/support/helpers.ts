import { type ChildProcess, spawn } from 'node:child_process';
import { chownSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { Failpoints } from '../../src/core/failpoints.ts';
import { withPg } from '../../src/pg/client.ts';
import { helperSettings } from '../../src/services/helper-settings.ts';
import { TlsReaders } from '../../src/services/tls/readers.ts';
import type { RunningService, Service, ServiceDeps } from '../../src/services/service.ts';
import { freePort } from './cluster.ts';
import { eventually } from './program.ts';

const never = new AbortController().signal;

/** Debian has it where ordinary users do not look. */
export const pgbouncerPath = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin']
  .map((dir) => join(dir, 'pgbouncer'))
  .find((path) => existsSync(path));

export interface Pgbouncer {
  readonly port: number;
  readonly ini: string;
  readonly pidFile: string;
  readonly child: () => ChildProcess;
  start(): Promise<void>;
  /** One row of SHOW CONFIG. */
  setting(key: string): Promise<string | undefined>;
  rows(sql: string): Promise<Record<string, unknown>[]>;
  runs(): boolean;
  stop(): void;
}

const as = (uid: number | undefined): { uid?: number; gid?: number } =>
  uid === undefined ? {} : { uid, gid: uid };

/** A real pgbouncer in front of a server.
 *  @param conf more lines of its section [pgbouncer]
 *  @param uid whom it runs as and whom its file belongs to; ours when left out */
export async function pgbouncerFor(
  home: string,
  serverPort: number,
  conf = '',
  uid?: number,
): Promise<Pgbouncer> {
  const port = await freePort();
  const ini = join(home, 'pgbouncer.ini');
  const pidFile = join(home, 'pgbouncer.pid');
  writeFileSync(
    ini,
    `;; of the image
[databases]
* = host=127.0.0.1 port=${serverPort} user=cloud_admin

[pgbouncer]
listen_addr = 127.0.0.1 ; only here
listen_port = ${port}
unix_socket_dir =
auth_type = any
admin_users = postgres
pidfile = ${pidFile}
# a comment
pool_mode = session
${conf}
[users]
`.replace(' ; only here', ''),
  );
  if (uid !== undefined) chownSync(ini, uid, uid);
  let child: ChildProcess | null = null;
  const rows = (sql: string): Promise<Record<string, unknown>[]> =>
    withPg(
      { host: '127.0.0.1', port, user: 'postgres', password: null, database: 'pgbouncer', options: '' },
      { applicationName: 'test', connectMs: 20_000, signal: never },
      async (client) => (await client.query<Record<string, unknown>>(sql)).rows,
    );
  return {
    port,
    ini,
    pidFile,
    child: () => child!,
    rows,
    async start() {
      child = spawn(pgbouncerPath!, [ini], { stdio: 'ignore', cwd: '/', ...as(uid) });
      await eventually('pgbouncer', () =>
        existsSync(pidFile) ? rows('SHOW VERSION').catch(() => undefined) : undefined,
      );
    },
    setting: async (key) =>
      (await rows('SHOW CONFIG')).find((row) => row['key'] === key)?.['value'] as string | undefined,
    runs: () => child !== null && child.exitCode === null && child.signalCode === null,
    stop: () => void child?.kill('SIGKILL'),
  };
}

export interface FakeLocalProxy {
  readonly pid: number;
  /** The config as it was read at the start and at each SIGHUP; null: it was missing. */
  readonly read: () => (string | null)[];
  readonly exited: () => boolean;
  stop(): void;
}

/** A process that does with its pid file and its config what local_proxy does. Needs Python. */
export async function fakeLocalProxy(
  { pidFile, config }: { readonly pidFile: string; readonly config: string },
  { locked = true, uid }: { locked?: boolean; uid?: number | undefined } = {},
): Promise<FakeLocalProxy> {
  const script = fileURLToPath(new URL('../../test/support/local-proxy.py', import.meta.url));
  const notes = `${pidFile}.notes`;
  rmSync(notes, { force: true });
  const child = spawn('python3', [script, pidFile, config, notes, String(locked)], {
    stdio: 'inherit',
    cwd: '/',
    ...as(uid),
  });
  const read = (): (string | null)[] =>
    existsSync(notes)
      ? readFileSync(notes, 'utf8')
          .split('\n')
          .slice(0, -1)
          .map((line) => JSON.parse(line) as string | null)
      : [];
  await eventually('local_proxy', () => (read().length > 0 ? true : undefined));
  return {
    pid: child.pid!,
    read,
    exited: () => child.exitCode !== null || child.signalCode !== null,
    stop: () => void child.kill('SIGKILL'),
  };
}

export interface Bench<Wanted> {
  readonly deps: ServiceDeps;
  readonly lines: string[];
  /** Asks the compute to stop. */
  readonly stop: AbortController;
  readonly start: (wanted: Wanted) => Promise<RunningService<Wanted>>;
}

/** What a service of a helper program needs, with the files of this test. */
export function benchFor<Wanted>(
  service: Service<Wanted>,
  options: Partial<Parameters<typeof helperSettings>[0]>,
  { env = {}, bySignal = false }: { env?: NodeJS.ProcessEnv; bySignal?: boolean } = {},
): Bench<Wanted> {
  const lines: string[] = [];
  const stop = new AbortController();
  const given = {
    pgbouncerIni: '/nowhere/pgbouncer.ini',
    pgbouncerHost: '127.0.0.1',
    pgbouncerPort: 1,
    pgbouncerPidFile: '/nowhere/pgbouncer.pid',
    localProxyConfig: '/nowhere/config.json',
    localProxyPidFile: '/nowhere/pid',
    dev: false,
    ...options,
  };
  const log = pino({ level: 'debug' }, { write: (line: string) => lines.push(line) });
  const deps = {
    settings: { helpers: helperSettings(given, env) },
    log,
    failpoints: new Failpoints(),
    stopAsked: stop.signal,
    untilCalm: async () => {},
    stoppedBySignal: () => bySignal,
    tlsReaders: new TlsReaders(log, null),
  } as unknown as ServiceDeps;
  return { deps, lines, stop, start: (wanted) => service.start(wanted, deps, never) };
}
