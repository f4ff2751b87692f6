import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { type TarballEntry, makeTarball } from './fake-storage.ts';
import { type Installed, installedPostgres, osUser } from './postgres-versions.ts';
import { scratchDir } from './scratch.ts';

export interface Extension {
  readonly archive: Buffer;
  readonly control: string;
}

/** A copy of a PostgreSQL into which extensions can be installed. */
export interface OwnInstallation {
  readonly postgres: Installed;
  readonly share: string;
  readonly lib: string;
  /** Takes an extension of PostgreSQL out. @returns its archive, without its control file, as a gateway has it */
  takeOut(extension: string): Promise<Extension>;
  remove(): void;
}

/** The versions that a copy can be made of: those whose programs find their files from where they are. */
export const movable = (): Installed[] =>
  installedPostgres().filter(({ bindir }) => !bindir.startsWith('/usr/'));

/** Made of hard links where the kernel lets this user have them (fs.protected_hardlinks), so the files themselves must not be
 *  changed; copied elsewhere. */
export function ownInstallation(postgres: Installed): OwnInstallation {
  const home = scratchDir('installation');
  const prefix = join(home, 'pg');
  const source = dirname(postgres.bindir);
  try {
    execFileSync('cp', ['-rl', source, prefix], { stdio: 'ignore' });
  } catch {
    rmSync(prefix, { recursive: true, force: true });
    execFileSync('cp', ['-r', '--reflink=auto', source, prefix]);
  }
  const share = join(prefix, 'share/postgresql/extension');
  const lib = join(prefix, 'lib/postgresql');
  mkdirSync(join(prefix, 'download_extensions'));
  if (osUser !== null)
    for (const dir of [prefix, share, lib, join(prefix, 'download_extensions')])
      execFileSync('chown', [`${osUser.uid}:${osUser.gid}`, dir]);
  return {
    postgres: { ...postgres, bindir: join(prefix, 'bin') },
    share,
    lib,
    takeOut: (extension) => takeOut({ share, lib }, extension),
    remove: () => rmSync(home, { recursive: true, force: true }),
  };
}

/** Takes an extension of PostgreSQL out. @returns its archive, without its control file, as a gateway has it */
export async function takeOut(
  { share, lib }: Pick<OwnInstallation, 'share' | 'lib'>,
  extension: string,
): Promise<Extension> {
  const control = readFileSync(join(share, `${extension}.control`), 'utf8');
  rmSync(join(share, `${extension}.control`));
  const scripts = readdirSync(share).filter((name) => name.startsWith(`${extension}--`));
  const entries: TarballEntry[] = [
    ...scripts.map((name) => take(join(share, name), `share/extension/${name}`)),
    take(join(lib, `${extension}.so`), `lib/${extension}.so`),
  ];
  return { archive: zstdCompressSync(await makeTarball(entries, { gzip: false })), control };
}

function take(path: string, name: string): TarballEntry {
  const body = readFileSync(path);
  rmSync(path);
  return { name, body, mode: 0o644 };
}
