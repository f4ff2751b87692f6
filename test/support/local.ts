import { existsSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import { Secret } from '../../src/core/secret.ts';
import { withPg } from '../../src/pg/client.ts';
import type { PgTarget } from '../../src/pg/target.ts';
import { killAllOf, processesIn } from './compute.ts';
import type { Installed } from './postgres-versions.ts';
import { memoryDir } from './scratch.ts';
import { type Program, eventually, startProgram } from './program.ts';

/** What compute-local prints as the way to its Postgres. */
export function targetOf(text: string): PgTarget {
  const url = new URL(text);
  const [user = '', password = '', database = ''] = [url.username, url.password, url.pathname.slice(1)].map(
    decodeURIComponent,
  );
  return {
    host: url.hostname,
    port: Number(url.port),
    user,
    password: new Secret(password),
    database,
    options: '',
  };
}

const session = {
  applicationName: 'test',
  connectMs: 2000,
  queryMs: 20_000,
  signal: new AbortController().signal,
};

/** Runs a statement on a connection of its own. */
export const queryLocal = async (to: PgTarget, sql: string): Promise<Record<string, unknown>[]> =>
  withPg(to, session, async (pg) => (await pg.query<Record<string, unknown>>(sql)).rows);

const shownLines = 60;

/** Of every program in the directory: they say why one of them did not start. */
const endsOfLogs = (dir: string): string[] =>
  ['log', ...listed(join(dir, 'nodes')).map((name) => `nodes/${name}/log`)].flatMap((log) =>
    listed(join(dir, log))
      .filter((name) => name.endsWith('.log'))
      .map((name) => {
        const lines = readFileSync(join(dir, log, name), 'utf8').split('\n');
        return [`--- ${log}/${name}`, ...lines.slice(-shownLines)].join('\n');
      }),
  );

const listed = (dir: string): string[] => (existsSync(dir) ? readdirSync(dir) : []);

export interface LocalRig {
  readonly dir: string;
  readonly pgdata: string;
  up(args?: readonly string[]): Program;
  /** Starts and waits until it is ready; `args` make another node of it. */
  upAndReady(args?: readonly string[]): Promise<{ program: Program; to: PgTarget }>;
  /** Runs one of the short commands to its end. */
  command(...args: string[]): Promise<{ code: number | NodeJS.Signals; stdout: string; stderr: string }>;
  /** Runs one that must succeed. @returns its stdout */
  ok(...args: string[]): Promise<string>;
  /** What the first `up` decided: ports, ids, tokens. */
  state(): { ports: Record<string, number>; [key: string]: unknown };
  /** The way to another Postgres on the same storage. */
  target(port: number): PgTarget;
  pidOf(what: 'postgres' | 'compute_ctl' | 'storage'): number | undefined;
  clean(): Promise<void>;
}

const readyMs = 120_000;

/** The address that a starting compute-local prints; null when it exits before, or takes too long. */
async function readyTarget(program: Program): Promise<PgTarget | null> {
  const ready = (): PgTarget | 'exited' | undefined => {
    const line = program
      .stdout()
      .split('\n')
      .find((one) => one.includes('"event":"ready"'));
    if (line !== undefined) return targetOf((JSON.parse(line) as { url: string }).url);
    return program.child.exitCode === null && program.child.signalCode === null ? undefined : 'exited';
  };
  const found = await eventually('compute-local is ready', ready, readyMs).catch(() => null);
  if (found !== 'exited') return found;
  // The last words are still on their way.
  await program.exited();
  return null;
}

/** @param postgres which one to run; Debian's when left out
 *  @param dir an empty directory, which is removed in the end; in memory when left out */
export function localRig(postgres?: Installed, dir = memoryDir()): LocalRig {
  const env = postgres === undefined ? {} : { COMPUTE_LOCAL_PG_BIN_DIR: postgres.bindir };
  const pgdata = join(dir, 'pgdata');
  const programs: Program[] = [];
  const pid = (text: string, json: boolean): number =>
    json ? (JSON.parse(text) as { pid: number }).pid : Number(text.split('\n')[0]);
  const files = { postgres: 'pgdata/postmaster.pid', compute_ctl: 'compute_ctl.pid', storage: 'storage.pid' };
  const rig: LocalRig = {
    dir,
    pgdata,
    up(args = []) {
      const program = startProgram('compute-local', ['up', '--dir', dir, '--json', ...args], env);
      programs.push(program);
      return program;
    },
    async upAndReady(args = []) {
      const isNode = args.some((one) => /^--(replica|at-lsn)/.test(one));
      for (let attempt = 1, given = args; ; attempt++, given = [...new Set([...args, '--new-ports'])]) {
        const program = rig.up(given);
        const to = await readyTarget(program);
        if (to !== null) return { program, to };
        // Between two starts, whatever else runs on this machine may take a port. A node chooses its ports when it starts.
        const lostPort = program.output().includes('Code: port') && !isNode && attempt < 4;
        if (!lostPort) throw new Error([program.output(), ...endsOfLogs(dir)].join('\n'));
      }
    },
    async command(...args) {
      const program = startProgram('compute-local', [...args, '--dir', dir], env);
      const code = await program.exited();
      return { code, stdout: program.stdout(), stderr: program.stderr() };
    },
    async ok(...args) {
      const { code, stdout, stderr } = await rig.command(...args);
      if (code !== 0) throw new Error(`${args.join(' ')} exited with ${code}\n${stdout}${stderr}`);
      return stdout;
    },
    state: () => JSON.parse(readFileSync(join(dir, 'local.json'), 'utf8')) as ReturnType<LocalRig['state']>,
    target(port) {
      const { user, password, database } = rig.state() as unknown as Record<string, string>;
      return targetOf(`postgresql://${user}:${password}@127.0.0.1:${port}/${database}`);
    },
    pidOf(what) {
      try {
        const found = pid(readFileSync(join(dir, files[what]), 'utf8'), what !== 'postgres');
        process.kill(found, 0);
        return found;
      } catch {
        return undefined;
      }
    },
    async clean() {
      for (const program of programs) program.kill('SIGKILL');
      for (const program of programs) await program.exited();
      for (const what of ['compute_ctl', 'storage'] as const) {
        const left = rig.pidOf(what);
        if (left !== undefined) process.kill(left, 'SIGKILL');
      }
      killAllOf(dir);
      await eventually('nothing runs there', () => (processesIn(dir).length === 0 ? true : undefined));
      rmSync(dir, { recursive: true, force: true });
    },
  };
  return rig;
}

/** One for each test, in whose directory nothing runs afterwards: nodes and branches have programs and processes of their own, which
 *  `stop` knows how to end. */
export function rigPerTest(): LocalRig {
  const it = {} as LocalRig;
  beforeEach(() => void Object.assign(it, localRig()));
  afterEach(async () => {
    await it.command('stop');
    await it.clean();
  }, 200_000);
  return it;
}
