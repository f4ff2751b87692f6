// Bundles bench/<name>.ts next to its dependencies and runs it: `npm run bench:start`, `npm run bench:catalog`.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { migrationsForBundle } from './migrations-plugin.mjs';
import { die, root, run } from './run.mjs';

const [name = '', ...args] = process.argv.slice(2);
if (!/^[a-z]+$/.test(name)) die('usage: node scripts/bench.mjs <name> [arguments]');

if (!run(process.execPath, ['scripts/build.mjs'])) die('The build failed.');
// As deep as the sources, so that paths relative to a module hold for the bundle.
const outfile = join(root, 'dist', 'bench', `${name}.mjs`);
await build({
  absWorkingDir: root,
  entryPoints: [`bench/${name}.ts`],
  outfile,
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node22',
  packages: 'external',
  plugins: [migrationsForBundle],
  logLevel: 'warning',
});
const done = run(process.execPath, [outfile, ...args]);
rmSync(outfile, { force: true });
process.exitCode = done ? 0 : 1;
