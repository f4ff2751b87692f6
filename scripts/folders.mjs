// Imports between the folders of src/ point down this list. `npm run lint` checks it; CONTRIBUTING.md says what each holds.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from './run.mjs';

export const folders = [
  'cli',
  'docs',
  'local',
  'http/routes',
  'lifecycle',
  'services',
  'database',
  'catalog',
  'monitor',
  'vm-monitor',
  'local/storage',
  'postgres',
  'storage',
  'tar',
  'http',
  'wire',
  'client',
  'pg',
  'process',
  'manual',
  'config',
  'outbound',
  'spec',
  'metrics',
  'telemetry',
  'core',
];

/** Every import between two folders that does not point down the list, as `file -> file`; a file in none of them, too. */
export function wrongImports(src = join(root, 'src')) {
  const wrong = [];
  for (const file of sources(src)) {
    const from = folderOf(relative(src, file));
    if (from === -1) wrong.push(`${relative(src, file)} lies in no folder of the list`);
    for (const target of importsOf(file)) {
      const path = relative(src, target);
      const to = folderOf(path);
      if (!path.startsWith('..') && from !== to && to <= from)
        wrong.push(`${relative(src, file)} -> ${path}`);
    }
  }
  return wrong;
}

const importOf = /(?:\bfrom|\bimport)\s*\(?\s*'(\.{1,2}\/[^']+)'/g;

const importsOf = (file) =>
  [...readFileSync(file, 'utf8').matchAll(importOf)].map(([, path]) => resolve(dirname(file), path));

/** Index of the longest folder that holds the file. */
function folderOf(path) {
  const holding = folders.filter((folder) => path.startsWith(`${folder}/`));
  return folders.indexOf(holding.toSorted((a, b) => b.length - a.length)[0] ?? '');
}

function sources(dir) {
  return readdirSync(dir, { withFileTypes: true }).flatMap((entry) => {
    const path = join(dir, entry.name);
    if (entry.isDirectory()) return sources(path);
    return entry.name.endsWith('.ts') ? [path] : [];
  });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const wrong = wrongImports();
  for (const line of wrong) console.error(`wrong way: ${line}`);
  process.exitCode = wrong.length === 0 ? 0 : 1;
}
