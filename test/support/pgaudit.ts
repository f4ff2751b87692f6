import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { releases } from './client-tools.ts';
import { unpacked } from './debian.ts';
import { type OwnInstallation, ownInstallation } from './own-installation.ts';
import { type Installed, installedPostgres, osUser } from './postgres-versions.ts';
import { scratchDir } from './scratch.ts';

export type Audited = Pick<OwnInstallation, 'postgres' | 'remove' | 'share' | 'lib'>;

/** The versions that Debian has a pgaudit for, in the release that this machine or the client tools are of. */
export const auditable = (): Installed[] =>
  installedPostgres().filter((one) => isDebian(one) || releases.has(one.major));

const isDebian = ({ bindir }: Installed): boolean => bindir.startsWith('/usr/');

/** A copy of a PostgreSQL with Debian's pgaudit. pgauditlogtofile, which Debian does not have, is a library that does
 *  nothing: what it writes comes from elsewhere. Null where pgaudit cannot be had. */
export function withPgaudit(postgres: Installed): Audited | null {
  const { major } = postgres;
  const release = isDebian(postgres) ? null : releases.get(major)!;
  const root = unpacked(`pgaudit-${major}`, [`postgresql-${major}-pgaudit`], release);
  if (root === null) return null;
  const own = isDebian(postgres) ? copyOfDebian(postgres) : ownInstallation(postgres);
  addExtensions(root, own, major);
  copyFileSync(join(own.lib, 'auto_explain.so'), join(own.lib, 'pgauditlogtofile.so'));
  writeFileSync(join(own.share, 'pgauditlogtofile.control'), "default_version = '1.0'\nrelocatable = true\n");
  writeFileSync(join(own.share, 'pgauditlogtofile--1.0.sql'), 'select 1;\n');
  return own;
}

/** A copy of Debian's PostgreSQL with packages of its extensions, such as `cron`. Null where they cannot be had. */
export function withExtensions(postgres: Installed, packages: readonly string[]): Audited | null {
  const { major } = postgres;
  const names = packages.map((name) => `postgresql-${major}-${name}`);
  const root = unpacked(`extensions-${major}-${packages.join('-')}`, names);
  if (root === null) return null;
  const own = copyOfDebian(postgres);
  addExtensions(root, own, major);
  return own;
}

function addExtensions(root: string, own: Audited, major: number): void {
  const share = join(root, `usr/share/postgresql/${major}/extension`);
  for (const name of readdirSync(share)) copyFileSync(join(share, name), join(own.share, name));
  const lib = join(root, `usr/lib/postgresql/${major}/lib`);
  for (const name of readdirSync(lib))
    if (name.endsWith('.so')) copyFileSync(join(lib, name), join(own.lib, name));
}

/** It finds its files from where its program is. */
function copyOfDebian(postgres: Installed): Audited {
  const home = scratchDir('installation');
  const [program, share] = [`lib/postgresql/${postgres.major}`, `share/postgresql/${postgres.major}`];
  for (const dir of [program, share]) {
    mkdirSync(join(home, dir), { recursive: true });
    cpSync(join('/usr', dir), join(home, dir), { recursive: true, dereference: true });
  }
  if (osUser !== null && process.getuid?.() === 0)
    execFileSync('chown', ['-R', `${osUser.uid}:${osUser.gid}`, home]);
  return {
    postgres: { ...postgres, bindir: join(home, program, 'bin') },
    share: join(home, share, 'extension'),
    lib: join(home, program, 'lib'),
    remove: () => rmSync(home, { recursive: true, force: true }),
  };
}
