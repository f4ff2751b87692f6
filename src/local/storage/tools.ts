import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ComputeError, inline } from '../../core/errors.ts';
import { formatConninfo, withoutLibpq } from '../../pg/libpq-write.ts';
import { environmentForPrograms } from '../../process/environment.ts';
import { type PostgresBin, locatePostgres } from '../../postgres/postgres-bin.ts';

/** A PostgreSQL installation with all programs that compute-local runs, and the user that runs them. */
export interface Tools {
  readonly postgres: PostgresBin;
  /** The environment for every program: messages in English, since some are parsed, and without the user's PG* variables. */
  readonly env: NodeJS.ProcessEnv;
}

const needed = ['initdb', 'pg_basebackup', 'pg_receivewal'];
const debian = '/usr/lib/postgresql';

/** The directories to search, in order: the given one, or PATH and then Debian's directories, newest first. */
function candidates(binDir: string | null, env: NodeJS.ProcessEnv): string[] {
  if (binDir !== null) return [binDir];
  const versions = existsSync(debian) ? readdirSync(debian).filter((name) => /^\d+$/.test(name)) : [];
  const newestFirst = versions.map(Number).toSorted((a, b) => b - a);
  const path = (env['PATH'] ?? '').split(':').filter((dir) => dir.startsWith('/'));
  return [...path, ...newestFirst.map((version) => join(debian, String(version), 'bin'))].filter((dir) =>
    existsSync(join(dir, 'postgres')),
  );
}

/** Finds a PostgreSQL that can run a compute and its storage.
 *  @param binDir the only directory to search; null: all
 *  @param major the required version, since the data was created with it; null: any
 *  @throws ComputeError `postgres_missing` with all directories that were searched */
export async function findTools(
  binDir: string | null,
  major: number | null,
  signal: AbortSignal,
): Promise<Tools> {
  const env = toolEnv();
  const rejected: string[] = [];
  for (const dir of candidates(binDir, process.env)) {
    try {
      const postgres = await locatePostgres(join(dir, 'postgres'), env, signal);
      const missing = needed.filter((name) => !existsSync(postgres.sibling(name)));
      if (missing.length > 0) rejected.push(`${dir} does not have ${missing.join(', ')}`);
      else if (major !== null && postgres.major !== major)
        rejected.push(`${dir} is version ${postgres.major}`);
      else return { postgres, env };
    } catch (error) {
      signal.throwIfAborted();
      rejected.push(inline(error));
    }
  }
  const which =
    major === null ? 'PostgreSQL 14 or newer' : `PostgreSQL ${major}, which created the data here,`;
  const looked = rejected.length === 0 ? 'there is no postgres program' : rejected.join('; ');
  throw new ComputeError(
    'postgres_missing',
    `${which} with its client programs is required, but was not found: ${looked}`,
    {
      hint: `install it (Debian: apt-get install postgresql${major === null ? '' : `-${major}`}), or give its directory with --pg-bin-dir`,
    },
  );
}

/** Our environment, without variables that PostgreSQL's programs must not have. */
function toolEnv(): NodeJS.ProcessEnv {
  const { LANG: _, ...own } = withoutLibpq(environmentForPrograms(process.env));
  return { ...own, LC_ALL: 'C' };
}

export const binDirOf = (tools: Tools): string => dirname(tools.postgres.path);

/** The address of one of our servers: a directory with a Unix socket. */
export interface Socket {
  readonly dir: string;
  readonly port: number;
}

/** A libpq connection string for the superuser through a socket directory. */
export const conninfo = ({ dir, port }: Socket, applicationName: string): string =>
  formatConninfo({
    host: dir,
    port,
    user: 'cloud_admin',
    dbname: 'postgres',
    application_name: applicationName,
  });
