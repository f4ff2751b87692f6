// Bundles the programs into dist/, each with a launcher and the code that V8 has compiled of it. Beside them
// dist/client, for other programs: one module without dependencies, and its types.
import { chmodSync, copyFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { buildClient } from './build-client.mjs';
import { common, lateEntries, lateFiles, lateWithCode, programs } from './bundle.mjs';
import { migrationsForBundle } from './migrations-plugin.mjs';
import { placeForPrivateCheckout } from './private-checkout.mjs';
import { recordAll } from './record-all.mjs';
import { root } from './run.mjs';

const names = Object.keys(programs);
const options = { ...common, outdir: 'dist', sourcemap: 'linked', sourcesContent: false };

rmSync(`${root}/dist`, { recursive: true, force: true });
const elsewhere = placeForPrivateCheckout(root, 'dist');
if (elsewhere !== null) symlinkSync(elsewhere, `${root}/dist`);
await build({
  ...options,
  entryPoints: Object.fromEntries(names.map((name) => [`${name}.bundle`, programs[name]])),
  plugins: [migrationsForBundle, lateFiles],
});
await build({ ...options, entryPoints: lateEntries });
writeFileSync(`${root}/dist/package.json`, '{ "type": "commonjs" }\n');
for (const name of names) {
  copyFileSync(`${root}/scripts/launcher.cjs`, `${root}/dist/${name}.js`);
  chmodSync(`${root}/dist/${name}.js`, 0o755);
}
const dist = (name) => join(root, 'dist', name);
const bundle = (name) => dist(names.includes(name) ? `${name}.bundle.js` : `${name}.js`);
const recording = {
  node: [process.execPath],
  programs: [...names, ...lateWithCode],
  bundle,
  cache: (name) => `${bundle(name)}.cache`,
};
await recordAll(recording).catch((error) => {
  console.warn(`no compiled code was recorded: ${error.message}`);
});
await buildClient();
