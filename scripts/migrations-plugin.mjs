// Hands the folder of migrations to the program as one module, in name order: as plain text in the bundle, and the
// same for tests. A migration is NNNN-name.sql; its check, which only tests read, lies beside it.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../src/catalog/migrations', import.meta.url));
const name = 'virtual:migrations';

function moduleText() {
  const files = readdirSync(folder)
    .filter((file) => file.endsWith('.sql'))
    .sort();
  const text = (file) => readFileSync(join(folder, file), 'utf8').trim();
  const migrations = files
    .filter((file) => !file.endsWith('.check.sql'))
    .map((file) => ({ id: Number(file.slice(0, 4)), name: file.slice(0, -4), text: text(file) }));
  const checks = files
    .filter((file) => file.endsWith('.check.sql'))
    .map((file) => ({ id: Number(file.slice(0, 4)), text: text(file) }));
  return `export const migrations = ${JSON.stringify(migrations)};\nexport const checks = ${JSON.stringify(checks)};\n`;
}

/** For esbuild. */
export const migrationsForBundle = {
  name,
  setup(build) {
    build.onResolve({ filter: /^virtual:migrations$/ }, () => ({ path: name, namespace: name }));
    build.onLoad({ filter: /.*/, namespace: name }, () => ({
      contents: moduleText(),
      loader: 'js',
      watchDirs: [folder],
    }));
  },
};

/** For vitest. */
export const migrationsForTests = {
  name,
  resolveId: (id) => (id === name ? `\0${name}` : null),
  load: (id) => (id === `\0${name}` ? moduleText() : null),
};
