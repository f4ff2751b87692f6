// Builds dist/client, for other programs: one module without dependencies, and its types.
import { rmSync, writeFileSync } from 'node:fs';
import { build } from 'esbuild';
import { root, run } from './run.mjs';

/** @returns what esbuild says of it */
export async function buildClient() {
  const built = await build({
    absWorkingDir: root,
    entryPoints: ['src/client/index.ts'],
    outfile: 'dist/client/index.js',
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    logLevel: 'warning',
    metafile: true,
  });
  // It is an ES module whatever the programs beside it are.
  writeFileSync(`${root}/dist/client/package.json`, '{ "type": "module" }\n');
  if (!run('node_modules/.bin/tsc', ['-p', 'tsconfig.client.json'])) process.exitCode = 1;
  // Nothing that is exported shows it, and it names a package that is in the bundle.
  rmSync(`${root}/dist/client/api.d.ts`, { force: true });
  return built;
}
