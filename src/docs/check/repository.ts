import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** What the repository holds, as far as a page may name it. */
export interface Repository {
  /** Every file, from the root. */
  readonly files: ReadonlySet<string>;
  readonly scripts: ReadonlySet<string>;
  /** The texts of the sources, where a name must occur that is in no table: the step of a start, a setting of PostgreSQL
   *  that compute_ctl writes, a file of compute-local. */
  readonly sources: string;
  /** The words of `sources`, also those with dashes. */
  readonly words: ReadonlySet<string>;
}

const notKept: ReadonlySet<string> = new Set(['.git', 'node_modules', 'dist']);
const withSources = ['src/', 'scripts/', 'bench/', '.ci/', 'packaging/', 'test/support/'];
/** The exceptions would allow themselves. */
const notSources = ['src/docs/check/', 'scripts/client-types/package-lock.json'];
const single: ReadonlySet<string> = new Set([
  'package.json',
  'vitest.config.ts',
  '.oxlintrc.json',
  'Dockerfile',
  'compose.yaml',
  'test/browser/package.json',
  'test/manifests/package.json',
]);

/** @param root the repository's directory */
export function readRepository(root: string): Repository {
  const files = filesBelow(root, '');
  const read = (file: string): string => readFileSync(join(root, file), 'utf8');
  const isSource = (file: string): boolean =>
    single.has(file) ||
    (withSources.some((dir) => file.startsWith(dir)) && !notSources.some((dir) => file.startsWith(dir)));
  const sources = files.filter(isSource).map(read).join('\n');
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Readonly<Record<string, string>> };
  const tests = files
    .filter((file) => /^test\/.*\.ts$/.test(file))
    .map(read)
    .join('\n');
  return {
    files: new Set(files),
    scripts: new Set(Object.keys(scripts)),
    sources,
    words: new Set([...wordsOf(sources), ...variablesIn(tests)]),
  };
}

/** What tests read from the environment; everything else in them may be wrong on purpose. */
const variablesIn = (tests: string): string[] => tests.match(/(?<=\benv\[')[A-Z]\w+/g) ?? [];

function filesBelow(root: string, dir: string): string[] {
  return readdirSync(join(root, dir), { withFileTypes: true }).flatMap((entry) => {
    const path = dir === '' ? entry.name : `${dir}/${entry.name}`;
    if (notKept.has(entry.name)) return [];
    return entry.isDirectory() ? filesBelow(root, path) : [path];
  });
}

const wordsOf = (text: string): Set<string> =>
  new Set([...(text.match(/[A-Za-z_]\w*/g) ?? []), ...(text.match(/[A-Za-z]\w*(?:-\w+)+/g) ?? [])]);
