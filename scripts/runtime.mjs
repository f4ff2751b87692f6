// The Node that everything runs on, pinned in scripts/runtime. `node scripts/runtime.mjs` prints its path; needs no node_modules.
import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { installPackages } from './packages.mjs';
import { die, root } from './run.mjs';

const folder = join(root, 'scripts/runtime');
const nodeIn = (dir, arch) => join(dir, `node_modules/node-linux-${arch}/bin/node`);

/** Installs it for this machine, unless it is there. Elsewhere than on Linux it is the Node that runs this.
 *  @returns the path of the program */
export function runtime() {
  const { platform, arch } = process;
  if (platform !== 'linux' || !['x64', 'arm64'].includes(arch)) {
    if (Number(process.versions.node.split('.')[0]) >= 22) return process.execPath;
    die(`Node 22 or newer is needed on ${platform} ${arch}, this is ${process.version}.`);
  }
  return installed(folder, arch, []);
}

/** Installs it for Linux on an architecture, which need not be that of this machine.
 *  @param into a directory @returns the path of the program */
export function runtimeFor(arch, into) {
  if (process.platform === 'linux' && process.arch === arch) return runtime();
  mkdirSync(into, { recursive: true });
  for (const file of ['package.json', 'package-lock.json']) {
    const copy = join(into, file);
    if (!existsSync(copy)) copyFileSync(join(folder, file), copy);
  }
  return installed(into, arch, ['--os=linux', `--cpu=${arch}`]);
}

function installed(dir, arch, options) {
  const path = nodeIn(dir, arch);
  if (!installPackages(dir, options) || !existsSync(path)) die(`npm did not install ${path}`);
  return path;
}

/** The environment for a program of this runtime, in which `node` is this runtime, too. */
export const withRuntime = (env, path) => ({ ...env, PATH: `${dirname(path)}:${env.PATH ?? ''}` });

if (process.argv[1]?.endsWith('scripts/runtime.mjs')) console.log(runtime());
