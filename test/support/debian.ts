import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { testCache } from '../../scripts/shared-cache.mjs';

// Packages of Debian that are unpacked below the cache of the tests, so that nothing is installed and no service begins.

const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg';
const limitMs = 120_000;

/** Unpacks packages of a release with all that they need, into a new directory `root`. */
export function unpackRelease(release: string, packages: readonly string[], root: string): void {
  inWorkDir(root, (work) => {
    apt(work, release, '--download-only', 'install', ...packages);
    const needless = /^(?:lib)?perl|^locales|^debconf/;
    return readdirSync(join(work, 'archives'))
      .filter((file) => file.endsWith('.deb') && !needless.test(file))
      .map((file) => join(work, 'archives', file));
  });
}

/** Unpacks just these packages, once.
 *  @param release null: that of this machine
 *  @returns where; null, with a line on stderr, when they cannot be had */
export function unpacked(
  name: string,
  packages: readonly string[],
  release: string | null = null,
): string | null {
  const root = join(testCache, name);
  if (existsSync(root)) return root;
  try {
    inWorkDir(root, (work) => {
      if (release !== null) apt(work, release, 'download', ...packages);
      else
        execFileSync('apt-get', ['-qq', 'download', ...packages], {
          cwd: work,
          stdio: 'pipe',
          timeout: limitMs,
        });
      return readdirSync(work)
        .filter((file) => file.endsWith('.deb'))
        .map((file) => join(work, file));
    });
    return root;
  } catch (error) {
    const why =
      error instanceof Error ? error.message.trim().split('\n').slice(0, 3).join('; ') : String(error);
    process.stderr.write(`no ${packages.join(', ')}, tests with them are skipped: ${why}\n`);
    return null;
  }
}

/** @param download returns the archives to unpack */
function inWorkDir(root: string, download: (work: string) => readonly string[]): void {
  const work = `${root}.${process.pid}`;
  try {
    for (const dir of ['lists/partial', 'archives/partial', 'root'])
      mkdirSync(join(work, dir), { recursive: true });
    for (const file of download(work))
      execFileSync('dpkg-deb', ['-x', file, join(work, 'root')], { timeout: limitMs });
    if (!existsSync(root)) renameSync(join(work, 'root'), root);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Debian's mirror, as this machine is set up to use it; apt knows it only once it has its lists. */
function mirror(): string {
  const known = (): string | undefined => {
    const format = ['--format', '$(ORIGIN) $(LABEL) $(REPO_URI)', 'Created-By: Packages'];
    const lines = execFileSync('apt-get', ['indextargets', ...format], {
      encoding: 'utf8',
      timeout: limitMs,
    });
    return /^Debian Debian (\S+)$/m.exec(lines)?.[1];
  };
  const uri = known();
  if (uri !== undefined) return uri;
  execFileSync('apt-get', ['-qq', 'update'], { stdio: 'pipe', timeout: limitMs });
  const updated = known();
  if (updated === undefined) throw new Error('apt knows no mirror of Debian');
  return updated;
}

function apt(work: string, release: string, ...args: string[]): void {
  const source = `deb [signed-by=${keyring}] ${mirror()} ${release} main\n`;
  writeFileSync(join(work, 'sources.list'), source);
  // As if nothing was installed: every library comes along.
  writeFileSync(join(work, 'status'), '');
  const settings = {
    'Dir::Etc::SourceList': join(work, 'sources.list'),
    'Dir::Etc::SourceParts': '-',
    'Dir::State::Lists': join(work, 'lists'),
    'Dir::State::status': join(work, 'status'),
    'Dir::Cache::Archives': join(work, 'archives'),
    'Dir::Cache::pkgcache': '',
    'Dir::Cache::srcpkgcache': '',
    'Acquire::Languages': 'none',
    'APT::Install-Recommends': '0',
    'Debug::NoLocking': '1',
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  for (const command of [['update'], args])
    execFileSync('apt-get', ['-qq', '-y', ...options, ...command], {
      cwd: work,
      stdio: 'pipe',
      timeout: limitMs,
    });
}
