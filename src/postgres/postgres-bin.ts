import { type Stats, accessSync, constants, realpathSync, statSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import { ComputeError } from '../core/errors.ts';
import { runProcess } from '../process/run-process.ts';

export interface PostgresBin {
  /** The `postgres` program: absolute, symbolic links resolved. */
  readonly path: string;
  readonly dir: string;
  readonly major: number;
  /** The output of `postgres --version` after the name, e.g. `15.18 (Debian 15.18-0+deb12u1)`. */
  readonly version: string;
  /** The path of another program of the same installation; not checked. */
  sibling(name: string): string;
}

const oldest = 14;
const newest = 18;
const probeMs = 10_000;
const probed = new Map<string, Promise<string>>();

/** Finds the `postgres` program: a name without a slash is searched for in the PATH of `env`. The version comes from
 *  `postgres --version`, which runs when this returns, and is cached while the file does not change.
 *  @throws ComputeError `postgres_missing`; `postgres_version` unless it is PostgreSQL 14 to 18 */
export async function locatePostgres(
  pgbin: string,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<PostgresBin> {
  const found = pgbin.includes('/') ? usable(resolve(pgbin)) : inPath(pgbin, env);
  if (found === null) throw missing(pgbin, env);
  const path = realpathSync(found);
  const version = await versionOf(path, env, signal);
  const major = Number(/^\d+/.exec(version)?.[0]);
  if (!(major >= oldest && major <= newest)) {
    throw new ComputeError('postgres_version', `${path} is PostgreSQL ${version}, which is not supported`, {
      hint: `install PostgreSQL ${oldest} to ${newest}, and give the path of its program postgres`,
    });
  }
  const dir = dirname(path);
  return { path, dir, major, version, sibling: (name) => join(dir, name) };
}

function inPath(name: string, env: NodeJS.ProcessEnv): string | null {
  for (const dir of (env['PATH'] ?? '').split(delimiter)) {
    const found = usable(join(dir === '' ? '.' : dir, name));
    if (found !== null) return resolve(found);
  }
  return null;
}

/** The path itself if it is an executable file, else null. */
function usable(path: string): string | null {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile() ? path : null;
  } catch {
    return null;
  }
}

function missing(pgbin: string, env: NodeJS.ProcessEnv): ComputeError {
  const where = pgbin.includes('/') ? resolve(pgbin) : `PATH (${env['PATH'] ?? 'not set'})`;
  const message = pgbin.includes('/')
    ? `there is no executable file ${where}`
    : `there is no program "${pgbin}" in ${where}`;
  return new ComputeError('postgres_missing', message, {
    hint: 'give the path of the postgres program with --pgbin, e.g. /usr/lib/postgresql/17/bin/postgres',
  });
}

async function versionOf(path: string, env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<string> {
  const key = identity(path, statSync(path));
  const known = probed.get(key);
  if (known !== undefined) return known;
  const probe = askVersion(path, env, signal);
  probed.set(key, probe);
  probe.catch(() => probed.delete(key));
  return probe;
}

const identity = (path: string, { mtimeMs, size }: Stats): string => `${path}\0${mtimeMs}\0${size}`;

/** Changes the code `program_missing` to `postgres_missing`. */
function ofPostgres(error: unknown): unknown {
  if (!(error instanceof ComputeError) || error.code !== 'program_missing') return error;
  const hint = error.hint === undefined ? {} : { hint: error.hint };
  return new ComputeError('postgres_missing', error.message, { cause: error.cause, ...hint });
}

async function askVersion(path: string, env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<string> {
  const args = ['--version'];
  const command = { command: path, args, env, cwd: '/', limitMs: probeMs };
  const result = await runProcess(command, signal).catch((error: unknown) => {
    throw ofPostgres(error);
  });
  const version = /^\S+ \(PostgreSQL\) (\S.*)$/m.exec(result.stdout)?.[1];
  if (result.code === 0 && version !== undefined) return version.trim();
  const [first = ''] = (result.stdout + result.stderr).trim().split('\n');
  const said = first.slice(0, 100);
  throw new ComputeError(
    'postgres_version',
    `${path} is not a PostgreSQL server: --version printed ${JSON.stringify(said)} (exit code ${result.code ?? result.signal})`,
    { hint: 'set --pgbin to the PostgreSQL server program "postgres"' },
  );
}
