import { existsSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { unpackRelease } from './debian.ts';

/** Debian's releases with client tools of that version. Tools work with their own and every older server. */
export const releases: ReadonlyMap<number, string> = new Map([
  [17, 'trixie'],
  [18, 'forky'],
]);

const names = ['pg_basebackup', 'pg_receivewal', 'pg_dump', 'pg_dumpall', 'pg_restore', 'psql'];

export interface Server {
  readonly major: number;
  readonly bindir: string;
}

/** The npm packages hold servers alone. Puts client tools beside each: this machine's own where they are new enough, else
 *  those of a later Debian, below `cache`, with the libraries of that release. Without network or root those servers stay
 *  without, and their tests are skipped. */
export function lendClientTools(servers: readonly Server[], own: Server, cache: string): void {
  for (const { major, bindir } of servers) {
    if (names.every((name) => existsSync(join(bindir, name)))) continue;
    if (major <= own.major) {
      for (const name of names) put(bindir, name, (at) => symlinkSync(join(own.bindir, name), at));
      continue;
    }
    const version = [...releases.keys()].find((each) => each >= major);
    const root = version === undefined ? null : laterRelease(version, cache);
    if (root === null) continue;
    for (const name of names) {
      const program = join(root, 'usr/lib/postgresql', String(version), 'bin', name);
      put(bindir, name, (at) => writeFileSync(at, runWithLibraries(root, program, at), { mode: 0o755 }));
    }
  }
}

/** What is there stays: another run of the tests may be using it. */
function put(bindir: string, name: string, make: (at: string) => void): void {
  const at = join(bindir, name);
  if (!existsSync(at)) make(at);
}

/** The programs need a newer C library than the machine has, so that release's own loader starts them. pg_dumpall looks for
 *  pg_dump beside itself, and must find the one that is started in the same way. */
function runWithLibraries(root: string, program: string, at: string): string {
  const name = program.endsWith('/pg_dumpall') ? ` --argv0 ${at}` : '';
  const loader = `${root}/usr/lib64/ld-linux-x86-64.so.2 --library-path ${root}/usr/lib/x86_64-linux-gnu${name}`;
  return `#!/bin/sh\nexec ${loader} ${program} "$@"\n`;
}

/** Where the packages of that version are unpacked; null when they cannot be had. */
function laterRelease(version: number, cache: string): string | null {
  const root = join(cache, `tools-${version}`);
  if (existsSync(root)) return root;
  try {
    unpackRelease(releases.get(version)!, [`postgresql-client-${version}`], root);
    return root;
  } catch (error) {
    const why = error instanceof Error ? error.message.split('\n', 1)[0] : String(error);
    process.stderr.write(`no client tools of PostgreSQL ${version}, tests with them are skipped: ${why}\n`);
    return null;
  }
}
