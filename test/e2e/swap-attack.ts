import { mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';

// The attacker of root.test.ts, a process of its own: until it is killed it puts a link in the place of a directory and the
// directory back again. argv: the path, where the link leads to.
const [, , path = '', target = ''] = process.argv;
const [aside, link] = [`${path}.aside`, `${path}.link`];

process.stdout.write('ready\n');
for (;;) {
  attempt(() => symlinkSync(target, link));
  attempt(() => renameSync(path, aside));
  attempt(() => renameSync(link, path));
  attempt(() => rmSync(path));
  attempt(() => renameSync(aside, path));
  attempt(() => mkdirSync(path));
}

/** The victim works on the same names. */
function attempt(work: () => void): void {
  try {
    work();
  } catch {
    // Another moment, then.
  }
}
