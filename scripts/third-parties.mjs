// Which packages are in the bundles, and under which licences: from what esbuild says of its inputs.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { root } from './run.mjs';

/** What may be in a bundle that is given away under Apache-2.0. */
export const allowedLicenses = ['0BSD', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'ISC', 'MIT'];

/** A package of which code is in a bundle.
 *  @typedef {object} ThirdParty
 *  @property {string} path from the root, as in the lock file
 *  @property {string} name
 *  @property {string} version
 *  @property {string} license its identifier in the list of SPDX
 *  @property {string} text of the licence */

/** @param {readonly import('esbuild').Metafile[]} metafiles @returns {ThirdParty[]} by path
 *  @throws Error that names every package without a text of its licence, or with one that is not allowed */
export function thirdParties(metafiles, dir = root) {
  const packages = packagesIn(metafiles).map((path) => read(dir, path));
  const wrong = packages.flatMap(({ path, license, text }) => [
    ...(allowedLicenses.includes(license)
      ? []
      : [`${path} has the licence ${license}, which is not allowed`]),
    ...(text === null ? [`${path} has no text of its licence`] : []),
  ]);
  if (wrong.length > 0) throw new Error(`${wrong.join('\n')}\nSee scripts/third-parties.mjs.`);
  return packages;
}

/** What a bundler leaves out as unused does not count. */
function packagesIn(metafiles) {
  const inputs = metafiles.flatMap(({ outputs }) => Object.values(outputs)).map(({ inputs }) => inputs);
  const used = inputs.flatMap((each) =>
    Object.entries(each).filter(([, { bytesInOutput }]) => bytesInOutput > 0),
  );
  // Without what is before: where node_modules is a link, the bundler names what it leads to.
  const paths = used.flatMap(
    ([file]) => /\bnode_modules\/(?:.*\bnode_modules\/)?(?:@[^/]+\/)?[^/]+(?=\/)/.exec(file)?.[0] ?? [],
  );
  return [...new Set(paths)].toSorted((a, b) => (a < b ? -1 : 1));
}

function read(dir, path) {
  const {
    name,
    version,
    license = 'none',
  } = JSON.parse(readFileSync(join(dir, path, 'package.json'), 'utf8'));
  return { path, name, version, license, text: licenseText(join(dir, path)) };
}

/** From a file of its own, or from the section of the README; null when there is none. */
function licenseText(dir) {
  const file = (pattern) => readdirSync(dir).find((name) => pattern.test(name));
  const texts = readdirSync(dir)
    .filter((name) => /^(licen[cs]e|copying|notice)(\.|-|$)/i.test(name))
    .map((name) => readFileSync(join(dir, name), 'utf8').trim());
  if (texts.length > 0) return texts.join('\n\n');
  const readme = file(/^readme(\.|$)/i);
  const section =
    readme === undefined
      ? null
      : /^#+ *licen[cs]e *\n([^]*?)(?=^#|$(?![^]))/im.exec(readFileSync(join(dir, readme), 'utf8'));
  const text = section?.[1]?.trim() ?? '';
  // A mere name is not enough: the licences ask for their text.
  return /permission is hereby granted|redistribution and use|apache license/i.test(text) ? text : null;
}

/** The file of all licences. Packages with the same text share it.
 *  @param {readonly ThirdParty[]} packages @param {readonly { title: string, text: string }[]} others */
export function licensesFile(packages, others = []) {
  const byText = new Map();
  for (const { name, version, license, text } of packages) {
    const key = text.replaceAll(/\s+/g, ' ');
    const group = byText.get(key) ?? { titles: [], text };
    byText.set(key, { ...group, titles: [...group.titles, `${name} ${version} (${license})`] });
  }
  const groups = [...byText.values()].map(({ titles, text }) => ({ title: titles.join('\n'), text }));
  const line = '-'.repeat(80);
  return [
    'compute-ctl contains code of the packages below. Each is under its own licence.',
    ...[...groups, ...others].map(({ title, text }) => `${line}\n${title}\n${line}\n\n${text}`),
  ]
    .join('\n\n')
    .concat('\n');
}

/** The licence of the Node in the executable and of all that it contains.
 *  @param node path of the program */
export function nodeLicense(node) {
  const file = join(node, '../../LICENSE');
  if (basename(node) !== 'node' || !existsSync(file)) throw new Error(`there is no licence beside ${node}`);
  return readFileSync(file, 'utf8').trim();
}
