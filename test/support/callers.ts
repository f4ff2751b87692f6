import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CompactSign } from 'jose';
import type { Rig } from './compute.ts';
import { defaultPostgres, osUser } from './postgres-versions.ts';
import { eventually, executableVariable, programFile } from './program.ts';

/** `compute_ctl` as one file, as callers start it: without an environment, by its path.
 *  @param seenAt where it will find the path of a program, if not there */
export function installCtl(dir: string, seenAt = (path: string): string => path): string {
  const file = join(dir, 'compute_ctl');
  const executable = process.env[executableVariable];
  const command =
    executable === undefined
      ? `'${seenAt(process.execPath)}' '${seenAt(programFile('compute_ctl'))}'`
      : `'${seenAt(executable)}' compute_ctl`;
  mkdirSync(dir, { recursive: true });
  writeFileSync(file, `#!/bin/sh\nexec ${command} "$@"\n`);
  chmodSync(file, 0o755);
  return file;
}

export interface Called {
  readonly child: ChildProcess;
  readonly pid: number;
  stdout(): string;
  stderr(): string;
  exited(limitMs?: number): Promise<number | NodeJS.Signals>;
}

/** Starts a command as the OS user of Postgres, or as who is given. */
export function call(command: readonly string[], options: SpawnOptions = {}): Called {
  const [program, ...args] = command as [string, ...string[]];
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], cwd: '/', ...osUser, ...options });
  let [stdout, stderr] = ['', ''];
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  let end: number | NodeJS.Signals | undefined;
  child.once('error', (error) => (stderr += String(error)));
  child.once('exit', (code, signal) => {
    // Its last words are still on their way.
    setTimeout(() => (end = code ?? signal ?? -1), 50);
  });
  return {
    child,
    pid: child.pid ?? -1,
    stdout: () => stdout,
    stderr: () => stderr,
    exited: (limitMs = 60_000) => eventually(`the end of ${program}`, () => end, limitMs),
  };
}

/** A token with just these claims: the original's have no `exp`, and say null for what is not set. */
export const eternalToken = (it: Rig, claims: object): Promise<string> =>
  new CompactSign(Buffer.from(JSON.stringify(claims)))
    .setProtectedHeader({ typ: 'JWT', alg: 'EdDSA' })
    .sign(it.keys.privateKey);

/** What only Neon's PostgreSQL knows or has, and waiting for its walproposer: a stock PostgreSQL could not start with these, or
 *  would not commit. */
const ofNeon = [
  'shared_preload_libraries',
  'max_replication_write_lag',
  'max_replication_flush_lag',
  'synchronous_standby_names',
];

export const withoutNeons = (conf: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(conf).filter(([name]) => !ofNeon.includes(name)));

/** What is wrong with a config, besides what a stock PostgreSQL does not know or have. */
export async function faultsIn(config: object, dir: string): Promise<string[]> {
  const file = join(dir, 'whole.json');
  writeFileSync(file, JSON.stringify(config));
  const pgbin = join(defaultPostgres().bindir, 'postgres');
  const checked = call([
    installCtl(join(dir, 'bin')),
    'check',
    '--json',
    '-c',
    file,
    '-i',
    'x',
    '-D',
    join(dir, 'x'),
    '-b',
    pgbin,
  ]);
  await checked.exited();
  const { errors } = JSON.parse(checked.stdout()) as { errors: { text: string }[] };
  return errors
    .map(({ text }) => text)
    .filter(
      (text) =>
        !/unrecognized configuration parameter "max_replication_|there is no library "neon"/.test(text),
    );
}

/** The text of `cluster.postgresql_conf`, quoted as the original's control plane for one machine does. */
export const confText = (conf: Readonly<Record<string, string>>): string =>
  Object.entries(conf)
    .map(
      ([name, value]) =>
        `${name}=${/^([-+]?\d+[a-zA-Z]*|[a-zA-Z][a-zA-Z0-9]*)$/.test(value) ? value : `'${value.replaceAll("'", "''")}'`}\n`,
    )
    .join('');

/** Asks every 100 ms, as neon_local does. @returns the states that it saw besides `init`: a caller fails at others than `running` */
export async function statesAfterInit(
  ask: () => Promise<string | null>,
  limitMs = 60_000,
): Promise<string[]> {
  const seen: string[] = [];
  await eventually(
    'the status running',
    async () => {
      // The pace of the caller, not a wait.
      await new Promise((resolve) => setTimeout(resolve, 100));
      const status = await ask().catch(() => null);
      if (status !== null && seen.at(-1) !== status) seen.push(status);
      return status !== null && status !== 'init' ? true : undefined;
    },
    limitMs,
  );
  return seen.filter((status) => status !== 'init');
}
