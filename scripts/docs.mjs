// Writes the reference pages from the sources; with --check only says which of them are stale, and what the pages name that does
// not exist.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { installPackages } from './packages.mjs';
import { die } from './run.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const check = process.argv.includes('--check');

const { outputFiles } = await build({
  absWorkingDir: root,
  entryPoints: ['src/docs/main.ts'],
  bundle: true,
  write: false,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  logLevel: 'warning',
});
const { isChecked, pages, readRepository, wrongFacts } = await import(
  `data:text/javascript;base64,${Buffer.from(outputFiles[0].text).toString('base64')}`
);

const texts = pages.map(({ file, render }) => ({ file, text: render() }));
const openApi = texts.find(({ file }) => file === 'docs/reference/openapi.json').text;
// Its packages are apart: they need another TypeScript than the sources.
if (!installPackages(join(root, 'scripts/client-types'))) die('npm ci failed.');
const { clientTypes } = await import('./client-types/generate.mjs');
texts.push({ file: 'src/client/types.ts', text: await clientTypes(openApi) });

const stale = texts
  .map(({ file, text }) => ({ file, path: join(root, file), text }))
  .filter(({ path, text }) => current(path) !== text);

for (const { file, path, text } of stale) {
  if (check) console.error(`${file} is stale: run npm run docs`);
  else {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    console.log(`wrote ${file}`);
  }
}
if (check) {
  const wrong = wrongInPages();
  for (const line of wrong) console.error(line);
  if (stale.length + wrong.length > 0) process.exitCode = 1;
}

function wrongInPages() {
  const repository = readRepository(root);
  const files = [...repository.files].filter(isChecked);
  return wrongFacts(
    files.map((file) => ({ file, text: readFileSync(join(root, file), 'utf8') })),
    repository,
  );
}

function current(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}
