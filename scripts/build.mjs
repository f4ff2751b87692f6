// Bundles the programs into dist/: one entry each, what a start does not need in lazily loaded chunks.
import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { readFileSync } from 'node:fs';
import { migrationsForBundle } from './migrations-plugin.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

const programs = {
  compute_ctl: 'src/cli.ts',
  'compute-local': 'src/local/cli.ts',
  'vm-monitor': 'src/vm-monitor/cli.ts',
};

rmSync(`${root}/dist`, { recursive: true, force: true });
await build({
  absWorkingDir: root,
  entryPoints: programs,
  outdir: 'dist',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  chunkNames: 'chunks/[name]-[hash]',
  sourcemap: 'linked',
  sourcesContent: false,
  // Faster helpers of packages that do without them.
  external: ['pg-native', 'bufferutil', 'utf-8-validate'],
  plugins: [migrationsForBundle],
  // Its main file hides its imports from the bundler; the ES build does not.
  alias: { 'jsonc-parser': 'jsonc-parser/lib/esm/main.js' },
  define: {
    BUILD_VERSION: JSON.stringify(version),
    BUILD_TAG: JSON.stringify(process.env.BUILD_TAG ?? 'latest'),
  },
  // Bundled CommonJS packages call require() for Node's own modules; an ES module has none unless it is made.
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
  logLevel: 'warning',
});
