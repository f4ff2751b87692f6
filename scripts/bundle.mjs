// What every bundle of the programs has in common: dist/*.js and the single executable.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './run.mjs';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));

export const programs = {
  compute_ctl: 'src/cli/compute_ctl.ts',
  'compute-local': 'src/local/cli.ts',
  'vm-monitor': 'src/vm-monitor/cli.ts',
};

/** Loaded by few starts: in files of their own, which most starts never read. By how the sources name them. */
const late = {
  '@grpc/grpc-js': '@grpc/grpc-js',
  undici: 'undici',
  ws: 'ws',
  './openapi-document.ts': './src/http/routes/openapi-document.ts',
  './otlp.ts': './src/telemetry/otlp.ts',
  '../manual/manual.ts': './src/manual/manual.ts',
  './page-text.ts': './src/local/dashboard/page-text.ts',
};
const lateFile = (name) => `${name.replace(/^.*\//, '').replace(/\.(?:ts|json)$/, '')}.late`;

/** Entry points of esbuild, by the name of the file. */
export const lateEntries = Object.fromEntries(
  Object.entries(late).map(([name, file]) => [lateFile(name), file]),
);

/** A start waits for these, so they have compiled code, too. */
export const lateWithCode = ['grpc-js.late'];

/** What packages load at once and these programs never use takes milliseconds of each command. */
const instead = [
  { name: 'node:child_process', by: '/commander/', file: 'scripts/never-made.cjs' },
  { name: 'worker_threads', by: '/pino/', file: 'scripts/main-thread.cjs' },
];

/** A plugin of esbuild. */
export const lateFiles = {
  name: 'late-files',
  setup({ onResolve }) {
    onResolve({ filter: /./ }, ({ path, kind }) =>
      kind === 'dynamic-import' && path in late
        ? { path: `./${lateFile(path)}.js`, external: true }
        : undefined,
    );
    for (const { name, by, file } of instead)
      onResolve({ filter: new RegExp(`^${name}$`) }, ({ importer }) =>
        importer.includes(`/node_modules${by}`) ? { path: join(root, file) } : undefined,
      );
  },
};

export const common = {
  absWorkingDir: root,
  bundle: true,
  // One file each: what is imported late is compiled late all the same, and one file takes less time to read than thirty.
  format: 'cjs',
  supported: { 'dynamic-import': false },
  platform: 'node',
  target: 'node22',
  // Names stay, so that a stack trace can be read; reading less takes less time.
  minifyWhitespace: true,
  minifySyntax: true,
  charset: 'ascii',
  legalComments: 'none',
  // Faster helpers of packages that do without them.
  external: ['bufferutil', 'utf-8-validate'],
  // Its main file hides its imports from the bundler; the ES build does not.
  alias: {
    'jsonc-parser': 'jsonc-parser/lib/esm/main.js',
    // What pino writes with by itself, which takes 3 ms to load: the log has a destination of its own.
    'sonic-boom': './scripts/never-made.cjs',
    'thread-stream': './scripts/never-made.cjs',
  },
  define: {
    BUILD_VERSION: JSON.stringify(version),
    BUILD_TAG: JSON.stringify(process.env.BUILD_TAG ?? 'latest'),
  },
  logLevel: 'warning',
};
