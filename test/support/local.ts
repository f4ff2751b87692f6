import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
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
  const [user, password, database] = [url.username, new Secret(url.password), url.pathname.slice(1)];
  return { host: url.hostname, port: Number(url.port), user, password, database, options: '' };
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

export interface LocalRig {
  readonly dir: string;
  readonly pgdata: string;
  up(args?: readonly string[]): Program;
  /** Starts and waits until it is ready; `args` make another node of it. */
  upAndReady(args?: readonly string[]): Promise<{ program: Program; to: PgTarget }>;
  /** Runs one of the short commands to its end. */
  command(...args: string[]): Promise<{ code: number | NodeJS.Signals; stdout: string; stderr: string }>;
  /** What the first `up` decided: ports, ids, tokens. */
  state(): { ports: Record<string, number>; [key: string]: unknown };
  pidOf(what: 'postgres' | 'compute_ctl' | 'storage'): number | undefined;
  clean(): Promise<void>;
}

/** @param postgres which one to run; Debian's when left out */
export function localRig(postgres?: Installed): LocalRig {
  const env = postgres === undefined ? {} : { COMPUTE_LOCAL_PG_BIN_DIR: postgres.bindir };
  const dir = memoryDir();
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
      const program = rig.up(args);
      const ready = (): string | undefined => {
        if (program.child.exitCode !== null) throw new Error(program.output());
        const events = program.stdout().split('\n');
        const line = events.find((one) => one.includes('"event":"ready"'));
        return line === undefined ? undefined : (JSON.parse(line) as { url: string }).url;
      };
      const url = await eventually('compute-local is ready', ready, 60_000).catch((error: unknown) => {
        throw new Error(program.output(), { cause: error });
      });
      return { program, to: targetOf(url) };
    },
    async command(...args) {
      const program = startProgram('compute-local', [...args, '--dir', dir], env);
      const code = await program.exited();
      return { code, stdout: program.stdout(), stderr: program.stderr() };
    },
    state: () => JSON.parse(readFileSync(join(dir, 'local.json'), 'utf8')) as ReturnType<LocalRig['state']>,
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
