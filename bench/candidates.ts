import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, existsSync, mkdtempSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { lateWithCode } from '../scripts/bundle.mjs';
import { recordAll } from '../scripts/record-all.mjs';

const root = new URL('../..', import.meta.url).pathname;

export type Command = readonly [string, ...string[]];

/** One way to run compute_ctl. */
export interface Candidate {
  readonly name: string;
  readonly command: Command;
}

/** The executable, if it was built, and the bundle on the pinned Node, on those of the tests, and on `more`: each with code that it
 *  has compiled itself. A Node on which the bundle does not run is named on stderr.
 *  @param dir where the bundles go */
export async function candidates(dir: string, more: readonly string[]): Promise<Candidate[]> {
  const found: Candidate[] = [];
  const executable = join(root, `build/linux-${process.arch}/compute_ctl`);
  if (existsSync(executable)) {
    const size = (statSync(executable).size / 2 ** 20).toFixed(0);
    found.push({ name: `file, ${size} MiB`, command: [executable] });
  }
  for (const node of nodes(more)) {
    const version = spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.trim();
    try {
      found.push({ name: version, command: await bundleFor(node, dir) });
    } catch (error) {
      console.error(`the bundle does not run on Node ${version}: ${String(error).slice(0, 300)}`);
    }
  }
  return found;
}

function nodes(more: readonly string[]): string[] {
  const others = join(root, 'test/runtimes/node_modules');
  const found = existsSync(others) ? readdirSync(others).map((name) => join(others, name, 'bin/node')) : [];
  return [process.execPath, ...found, ...more].filter((path) => existsSync(path));
}

async function bundleFor(node: string, dir: string): Promise<Command> {
  const into = mkdtempSync(join(dir, 'dist-'));
  chmodSync(into, 0o755);
  const late = readdirSync(join(root, 'dist')).filter((name) => name.endsWith('.late.js'));
  for (const name of ['compute_ctl.js', 'compute_ctl.bundle.js', 'package.json', ...late])
    copyFileSync(join(root, 'dist', name), join(into, name));
  const bundle = (name: string): string =>
    join(into, lateWithCode.includes(name) ? `${name}.js` : `${name}.bundle.js`);
  await recordAll({
    node: [node],
    recorder: join(root, 'scripts/record.cjs'),
    programs: ['compute_ctl', ...lateWithCode],
    local: [process.execPath, join(root, 'dist/compute-local.js')],
    bundle,
    cache: (name) => `${bundle(name)}.cache`,
  });
  const command: Command = [node, join(into, 'compute_ctl.js')];
  const { status, stderr } = spawnSync(node, [command[1] ?? '', '--version'], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr.trim());
  return command;
}
