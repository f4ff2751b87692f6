// Bundles the programs into dist/, each with a launcher and the code that V8 has compiled of it. Beside them
// dist/client, for other programs: one module without dependencies, and its types.
import { chmodSync, copyFileSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { buildClient } from './build-client.mjs';
import { migrationsForBundle } from './migrations-plugin.mjs';
import { placeForPrivateCheckout } from './private-checkout.mjs';
import { recordAll } from './record-all.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

const programs = {
  compute_ctl: 'src/cli/compute_ctl.ts',
  'compute-local': 'src/local/cli.ts',
  'vm-monitor': 'src/vm-monitor/cli.ts',
};

/** Loaded by few starts, and large: in files of their own, which most starts never read. By how the sources name them. */
const late = {
  '@grpc/grpc-js': '@grpc/grpc-js',
  undici: 'undici',
  './otlp.ts': './src/telemetry/otlp.ts',
};
const lateFile = (name) => `${name.replace(/^.*\//, '').replace(/\.ts$/, '')}.late`;

const lateFiles = {
  name: 'late-files',
  setup({ onResolve }) {
    onResolve({ filter: /./ }, ({ path, kind }) =>
      kind === 'dynamic-import' && path in late
        ? { path: `./${lateFile(path)}.js`, external: true }
        : undefined,
    );
  },
};

const names = Object.keys(programs);

const common = {
  absWorkingDir: root,
  outdir: 'dist',
  bundle: true,
  // One file each: what is imported late is compiled late all the same, and one file takes less time to read than thirty.
  format: 'cjs',
  supported: { 'dynamic-import': false },
  platform: 'node',
  target: 'node20',
  // Names stay, so that a stack trace can be read; reading less takes less time.
  minifyWhitespace: true,
  minifySyntax: true,
  charset: 'ascii',
  legalComments: 'none',
  sourcemap: 'linked',
  sourcesContent: false,
  // Faster helpers of packages that do without them.
  external: ['bufferutil', 'utf-8-validate'],
  // Its main file hides its imports from the bundler; the ES build does not.
  alias: { 'jsonc-parser': 'jsonc-parser/lib/esm/main.js' },
  define: {
    BUILD_VERSION: JSON.stringify(version),
    BUILD_TAG: JSON.stringify(process.env.BUILD_TAG ?? 'latest'),
  },
  logLevel: 'warning',
};

rmSync(`${root}/dist`, { recursive: true, force: true });
const elsewhere = placeForPrivateCheckout(root, 'dist');
if (elsewhere !== null) symlinkSync(elsewhere, `${root}/dist`);
await build({
  ...common,
  entryPoints: Object.fromEntries(names.map((name) => [`${name}.bundle`, programs[name]])),
  plugins: [migrationsForBundle, lateFiles],
});
await build({
  ...common,
  entryPoints: Object.fromEntries(Object.entries(late).map(([name, file]) => [lateFile(name), file])),
});
writeFileSync(`${root}/dist/package.json`, '{ "type": "commonjs" }\n');
for (const name of names) {
  copyFileSync(`${root}/scripts/launcher.cjs`, `${root}/dist/${name}.js`);
  chmodSync(`${root}/dist/${name}.js`, 0o755);
}
await recordAll();
await buildClient();
