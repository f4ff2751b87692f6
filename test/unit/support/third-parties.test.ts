import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { licensesFile, thirdParties } from '../../../scripts/third-parties.mjs';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'third-parties-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const mit = 'MIT License\n\nPermission is hereby granted, free of charge, to any person';

/** Installs a package. @returns what esbuild says of a bundle with a file of it */
function bundled(
  path: string,
  license: string | undefined,
  files: Readonly<Record<string, string>>,
  bytes = 1,
) {
  const name = path.replace(/^.*node_modules\//, '');
  mkdirSync(join(dir, path), { recursive: true });
  writeFileSync(join(dir, path, 'package.json'), JSON.stringify({ name, version: '1.0.0', license }));
  for (const [file, text] of Object.entries(files)) writeFileSync(join(dir, path, file), text);
  const inputs = { [`${path}/lib/index.js`]: { bytesInOutput: bytes } };
  return { outputs: { 'a.js': { bytes: 1, imports: [], exports: [], inputs } } };
}

test('a package is listed with the text of its licence, from a file or from its README, also one inside of another', () => {
  const found = thirdParties(
    [
      bundled('node_modules/@scope/a', 'MIT', { 'license.md': mit }),
      bundled('node_modules/b', 'ISC', { 'README.md': `# b\n\n## License\n\n${mit}\n\n## More\n\nother` }),
      bundled('node_modules/b/node_modules/c', 'MIT', { LICENSE: mit, NOTICE: 'a notice' }),
    ],
    dir,
  );
  expect(found.map(({ name, license, text }) => [name, license, text])).toEqual([
    ['@scope/a', 'MIT', mit],
    ['b', 'ISC', mit],
    ['c', 'MIT', `${mit}\n\na notice`],
  ]);
  const file = licensesFile(found, [{ title: 'Node.js', text: 'of Node' }]);
  for (const said of [
    '@scope/a 1.0.0 (MIT)\nb 1.0.0 (ISC)',
    'c 1.0.0 (MIT)',
    'a notice',
    'Node.js',
    'of Node',
  ])
    expect(file).toContain(said);
  expect(file.split(mit)).toHaveLength(3);
});

test('a package of which nothing is in the bundle does not count', () => {
  expect(thirdParties([bundled('node_modules/a', 'GPL-3.0-only', {}, 0)], dir)).toEqual([]);
});

test('a package without a text of its licence fails the build, and so does a licence that is not allowed, or none', () => {
  const wrong = [
    bundled('node_modules/a', 'MIT', { 'README.md': '# a\n\n## License\n\nMIT\n' }),
    bundled('node_modules/b', 'AGPL-3.0-only', { LICENSE: 'a text' }),
    bundled('node_modules/c', undefined, { LICENSE: 'a text' }),
  ];
  expect(() => thirdParties(wrong, dir)).toThrow(
    /^node_modules\/a has no text of its licence\nnode_modules\/b has the licence AGPL-3.0-only, which is not allowed\nnode_modules\/c has the licence none, which is not allowed\n/,
  );
});
