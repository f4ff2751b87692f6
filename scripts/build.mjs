// Bundles the programs into dist/, each with a launcher and the code that V8 has compiled of it. Beside them dist/client, for
// other programs (one module without dependencies, and its types), the man pages and completions, and what is in the bundles.
// With --in-place dist is a directory in any checkout: npm puts no links into a package.
import { chmodSync, copyFileSync, cpSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';
import { buildClient } from './build-client.mjs';
import { dashboardPage, pageForBundle } from './dashboard-page.mjs';
import { common, lateEntries, lateFiles, lateWithCode, programs } from './bundle.mjs';
import { migrationsForBundle } from './migrations-plugin.mjs';
import { placeForPrivateCheckout } from './private-checkout.mjs';
import { recordAll } from './record-all.mjs';
import { root } from './run.mjs';
import { billOfMaterials } from './sbom.mjs';
import { licensesFile, thirdParties } from './third-parties.mjs';

const inPlace = process.argv.includes('--in-place');
const names = Object.keys(programs);
const options = { ...common, outdir: 'dist', sourcemap: 'linked', sourcesContent: false, metafile: true };

rmSync(`${root}/dist`, { recursive: true, force: true });
const elsewhere = placeForPrivateCheckout(root, 'dist');
if (elsewhere !== null) symlinkSync(elsewhere, `${root}/dist`);
const bundles = await build({
  ...options,
  entryPoints: Object.fromEntries(names.map((name) => [`${name}.bundle`, programs[name]])),
  plugins: [migrationsForBundle, lateFiles],
});
const late = await build({ ...options, entryPoints: lateEntries, plugins: [pageForBundle] });
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
  local: [process.execPath, dist('compute-local.js')],
  bundle,
  commands: true,
  cache: (name) => `${bundle(name)}.cache`,
};
await recordAll(recording).catch((error) => {
  // A package without it would be slower for everybody.
  if (inPlace) throw error;
  console.warn(`no compiled code was recorded: ${error.message}`);
});
const { manualFiles } = createRequire(import.meta.url)(dist('manual.late.js'));
for (const [name, text] of Object.entries(manualFiles())) {
  mkdirSync(dirname(dist(name)), { recursive: true });
  writeFileSync(dist(name), text);
}
const client = await buildClient();
const packages = thirdParties([bundles, late, client, await dashboardPage()].map(({ metafile }) => metafile));
writeFileSync(dist('THIRD-PARTY-LICENSES.txt'), licensesFile(packages));
writeFileSync(dist('sbom.cdx.json'), billOfMaterials(packages));
if (elsewhere !== null && inPlace) {
  rmSync(join(root, 'dist'));
  cpSync(elsewhere, join(root, 'dist'), { recursive: true });
}
