// The bill of materials of a build, as CycloneDX: the packages that are really in it, not all that npm has installed.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path/posix';
import { root } from './run.mjs';

const readJson = (file) => JSON.parse(readFileSync(`${root}/${file}`, 'utf8'));

const purl = (name, version) => `pkg:npm/${name.replace('@', '%40')}@${version}`;
const spdx = (id) => [{ license: { id } }];

/** Parts of Node that have versions and advisories of their own, by their name in `process.versions`. */
const partsOfNode = {
  v8: {},
  uv: { name: 'libuv' },
  openssl: { vendor: 'openssl' },
  zlib: { vendor: 'zlib' },
  brotli: { vendor: 'google' },
  zstd: { vendor: 'facebook', name: 'zstandard' },
  ares: { vendor: 'c-ares', name: 'c-ares' },
  nghttp2: { vendor: 'nghttp2' },
  llhttp: { vendor: 'llhttp' },
  undici: { vendor: 'nodejs' },
  sqlite: { vendor: 'sqlite' },
  icu: { vendor: 'icu-project', name: 'international_components_for_unicode' },
  simdjson: {},
  simdutf: {},
  ada: {},
};

/** The same input gives the same text: the time is in it only when SOURCE_DATE_EPOCH gives one.
 *  @param {readonly import('./third-parties.mjs').ThirdParty[]} packages
 *  @param {NodeJS.ProcessVersions | null} node the versions of the Node that is in it; null: there is none */
export function billOfMaterials(packages, node = null) {
  const { name, version, description, license, devDependencies } = readJson('package.json');
  const ref = purl(name, version);
  const runtime = node === null ? [] : [nodeComponent(node)];
  const bom = {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: {
      ...timestamp(),
      lifecycles: [{ phase: 'build' }],
      component: {
        ...{ type: 'application', 'bom-ref': ref, name, version, description, purl: ref },
        licenses: spdx(license),
      },
    },
    components: [...packages.map(library), ...runtime],
    dependencies: [
      {
        ref,
        dependsOn: [
          ...packages.filter(({ name }) => name in devDependencies).map(refOf),
          ...runtime.map((each) => each['bom-ref']),
        ],
      },
      ...dependenciesOf(packages),
      ...runtime.map((each) => ({ ref: each['bom-ref'] })),
    ],
  };
  return `${JSON.stringify({ serialNumber: serialNumber(bom), ...bom }, null, 2)}\n`;
}

const refOf = ({ name, version }) => purl(name, version);
const { packages: locked } = readJson('package-lock.json');

function library(each) {
  const [algorithm, hash] = (locked[each.path]?.integrity ?? '').split('-');
  if (algorithm !== 'sha512') throw new Error(`the lock file has no sha512 of ${each.path}`);
  return {
    ...{ type: 'library', 'bom-ref': refOf(each), name: each.name, version: each.version },
    hashes: [{ alg: 'SHA-512', content: Buffer.from(hash, 'base64').toString('hex') }],
    licenses: spdx(each.license),
    purl: refOf(each),
  };
}

/** Which of the packages each of them asks for, by the way that Node looks for them. */
function dependenciesOf(packages) {
  const byPath = new Map(packages.map((each) => [each.path, each]));
  const find = (from, name) => {
    for (let dir = from; dir !== '.'; dir = dirname(dir)) {
      const found = byPath.get(join(dir, 'node_modules', name));
      if (found !== undefined) return found;
    }
    return byPath.get(`node_modules/${name}`);
  };
  return packages.map((each) => {
    const { dependencies, optionalDependencies, peerDependencies } = locked[each.path];
    const names = Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies });
    const found = names.map((name) => find(each.path, name)).filter((one) => one !== undefined);
    return { ref: refOf(each), dependsOn: [...new Set(found.map(refOf))].toSorted() };
  });
}

function nodeComponent(versions) {
  const parts = Object.entries(partsOfNode).filter(([key]) => versions[key] !== undefined);
  return {
    ...component('node', 'node.js', 'nodejs', versions.node),
    licenses: spdx('MIT'),
    components: parts.map(([key, { name = key, vendor }]) =>
      component(key, name, vendor, versions[key].replace(/-.*$/, '')),
    ),
  };
}

const component = (key, product, vendor, version) => ({
  ...{ type: 'library', 'bom-ref': `pkg:generic/${key}@${version}`, name: key, version },
  ...(vendor === undefined ? {} : { cpe: `cpe:2.3:a:${vendor}:${product}:${version}:*:*:*:*:*:*:*` }),
  purl: `pkg:generic/${key}@${version}`,
});

function timestamp() {
  const seconds = process.env.SOURCE_DATE_EPOCH;
  return seconds === undefined ? {} : { timestamp: new Date(Number(seconds) * 1000).toISOString() };
}

/** A UUID of the content, so that another content has another one. */
function serialNumber(bom) {
  const hex = createHash('sha256').update(JSON.stringify(bom)).digest('hex');
  const variant = '89ab'[parseInt(hex[16], 16) % 4];
  const parts = [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, variant + hex.slice(17, 20)];
  return `urn:uuid:${[...parts, hex.slice(20, 32)].join('-')}`;
}
