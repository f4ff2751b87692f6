import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import type { Installed } from './postgres-versions.ts';

/** What Debian's PostgreSQL has outside of its own directories: time zones, the locale of the C library, and the shell by which
 *  initdb starts programs. */
const besides = ['/usr/share/zoneinfo', '/usr/lib/locale/C.utf8', '/bin/sh'];
/** Large, and PostgreSQL does without it. */
const leftOut = /llvmjit|\/bitcode(\/|$)/;

/** Makes a root file system of a PostgreSQL of Debian, the libraries that it and a program of ours are linked to, and that
 *  program as `/compute_ctl`. Nothing else is in it. */
export function makeEmptyRoot(root: string, { bindir, major }: Installed, program: string): void {
  const home = dirname(bindir);
  for (const path of [home, `/usr/share/postgresql/${major}`, ...besides])
    cpSync(path, join(root, path), {
      recursive: true,
      dereference: true,
      filter: (file) => !leftOut.test(file),
    });
  copyFileSync(program, join(root, 'compute_ctl'));
  const inside = (name: string): string[] =>
    readdirSync(join(home, name)).map((file) => join(home, name, file));
  const modules = inside('lib').filter((path) => path.endsWith('.so') && !leftOut.test(path));
  for (const library of librariesOf(['/bin/sh', program, ...inside('bin'), ...modules])) {
    mkdirSync(join(root, dirname(library)), { recursive: true });
    copyFileSync(realpathSync(library), join(root, library));
  }
  for (const name of ['etc', 'proc', 'dev', 'tmp', 'var/lib'])
    mkdirSync(join(root, name), { recursive: true });
  chmodSync(join(root, 'tmp'), 0o1777);
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0::/:/bin/sh\npostgres:x:999:999::/:/bin/sh\n');
  writeFileSync(join(root, 'etc/group'), 'root:x:0:\npostgres:x:999:\n');
}

/** Some of the files may be scripts, of which ldd complains. */
function librariesOf(files: readonly string[]): Set<string> {
  const { stdout } = spawnSync('ldd', files, { encoding: 'utf8' });
  return new Set([...stdout.matchAll(/(?:=> |^\s+)(\/\S+) \(0x/gm)].map(([, path]) => path as string));
}

/** The command that runs `/compute_ctl` in such a root file system, with nothing in its environment. */
export const inRoot = (root: string, args: readonly string[]): [string, ...string[]] => [
  'unshare',
  '--mount',
  'sh',
  '-c',
  'mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && exec chroot "$0" "$@"',
  root,
  '/compute_ctl',
  ...args,
];
