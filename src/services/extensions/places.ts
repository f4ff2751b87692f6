import { existsSync } from 'node:fs';
import { access, constants } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ComputeError } from '../../core/errors.ts';
import type { OwnPostgres } from '../../database/settings.ts';
import { runProcess } from '../../process/run-process.ts';

/** The directories of an installation of PostgreSQL that extensions are in. */
export interface Places {
  /** Of control files and SQL scripts. */
  readonly share: string;
  /** Of libraries. */
  readonly lib: string;
}

const askMs = 10_000;

/** Asks `pg_config`; where an installation has none, the directories are looked for at the places that PostgreSQL's builds have.
 *  @throws ComputeError `download` when they are not found */
export async function findPlaces({ bin, env }: OwnPostgres, signal: AbortSignal): Promise<Places> {
  const command = bin.sibling('pg_config');
  const places = existsSync(command) ? await asked(command, env, signal) : guessed(bin);
  if (places !== null) return places;
  throw new ComputeError(
    'download',
    `it is not known where PostgreSQL has its extensions: there is no ${command}`,
    {
      hint: 'install pg_config beside the program postgres (Debian: postgresql-server-dev-…)',
    },
  );
}

async function asked(command: string, env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<Places | null> {
  const args = ['--sharedir', '--pkglibdir'];
  const { code, stdout } = await runProcess({ command, args, env, cwd: '/', limitMs: askMs }, signal);
  const [share = '', lib = ''] = stdout.split('\n');
  return code !== 0 || share === '' || lib === '' ? null : { share: join(share, 'extension'), lib };
}

/** Every build has PL/pgSQL. */
function guessed({ dir, major }: OwnPostgres['bin']): Places | null {
  const prefix = dirname(dir);
  const shares = ['share/postgresql', 'share', `../../../share/postgresql/${major}`];
  const share = shares
    .map((each) => join(prefix, each, 'extension'))
    .find((each) => existsSync(join(each, 'plpgsql.control')));
  const lib = ['lib/postgresql', 'lib']
    .map((each) => join(prefix, each))
    .find((each) => existsSync(join(each, 'plpgsql.so')));
  return share === undefined || lib === undefined ? null : { share, lib };
}

/** @throws ComputeError `download` naming the first directory that cannot be written */
export async function assertWritable({ share, lib }: Places): Promise<void> {
  for (const dir of [share, lib]) {
    await access(dir, constants.W_OK).catch((cause: unknown) => {
      throw new ComputeError('download', `extensions cannot be installed in ${dir}`, {
        cause,
        hint: `make it writable for the OS user: chown it, or mount a writable volume there`,
      });
    });
  }
}
