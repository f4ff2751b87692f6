// Makes build/linux-<arch>/compute_ctl: all programs in one file, with Node.
// `npm run build:executable -- [x64] [arm64] [--without-code]`; the last leaves out what V8 has compiled, which takes a while in an
// emulator, and of which a program is only slower.
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync } from 'node:zlib';
import { build } from 'esbuild';
import { dashboardPage, pageForBundle } from './dashboard-page.mjs';
import { common, lateEntries, lateFiles, lateWithCode, programs } from './bundle.mjs';
import { inject } from './executable/elf.mjs';
import { blankExports } from './executable/exports.mjs';
import { withoutLanguages } from './executable/languages.mjs';
import { migrationsForBundle } from './migrations-plugin.mjs';
import { placeForPrivateCheckout } from './private-checkout.mjs';
import { recordAll } from './record-all.mjs';
import { die, root } from './run.mjs';
import { runtime, runtimeFor } from './runtime.mjs';
import { billOfMaterials } from './sbom.mjs';
import { licensesFile, nodeLicense, thirdParties } from './third-parties.mjs';

const known = ['x64', 'arm64'];
const withoutCode = process.argv.includes('--without-code');
const wanted = process.argv.slice(2).filter((each) => each !== '--without-code');
const unknown = wanted.find((arch) => !known.includes(arch));
if (unknown !== undefined)
  die(`usage: npm run build:executable -- [${known.join('] [')}] [--without-code]; not ${unknown}`);
const architectures = wanted.length === 0 ? known : wanted;

const out = join(root, 'build');
const work = join(out, 'work');

/** The bundles by name, and which programs are in each: nearly all of the vm-monitor is in compute_ctl, too. */
const bundles = { compute_ctl: ['compute_ctl', 'vm-monitor'], 'compute-local': ['compute-local'] };

const withCode = [...Object.keys(bundles), ...lateWithCode];

/** Read by nearly no start of a compute: compressed. */
const rare = [
  'undici.late',
  'otlp.late',
  'manual.late',
  'ws.late',
  'openapi-document.late',
  'page-text.late',
];
const fileOf = (name) => (rare.includes(name) ? `${name}.js.br` : `${name}.js`);

/** As Node wraps a CommonJS module; here already, so that a start does not copy it. */
const wrapped = {
  banner: { js: '(function (exports, require, module, __filename, __dirname) {' },
  footer: { js: '\n})' },
};

/** The young generation stays as small as it starts: it would grow to 34 MB. SIGUSR1, which opens Node's debugger to everybody on the machine, is blocked from the first moment. NODE_OPTIONS is not read:
 *  this is a program of its own, and what the environment wants of Node must not end it. */
const seaConfig = {
  // Relative, since the name is in the executable.
  main: 'scripts/executable/main.cjs',
  disableExperimentalSEAWarning: true,
  execArgv: ['--disable-sigusr1', '--max-semi-space-size=2'],
  execArgvExtension: 'none',
};

if (!existsSync(out)) {
  const elsewhere = placeForPrivateCheckout(root, 'build');
  if (elsewhere === null) mkdirSync(out);
  else symlinkSync(elsewhere, out);
}
mkdirSync(work, { recursive: true });
const packages = thirdParties(await bundleAll());
for (const arch of architectures) await executable(arch);

/** @returns what esbuild says of each bundle */
async function bundleAll() {
  const options = { ...common, ...wrapped, outdir: work, metafile: true };
  const metafiles = [];
  for (const [name, inside] of Object.entries(bundles)) {
    const each = inside.map(
      (program) => `${JSON.stringify(program)}: () => require('./${programs[program]}')`,
    );
    const { metafile } = await build({
      ...options,
      stdin: { contents: `module.exports = { ${each.join(', ')} };`, resolveDir: root },
      entryNames: name,
      plugins: [migrationsForBundle, lateFiles],
    });
    metafiles.push(metafile);
  }
  const late = { ...options, minify: true, entryPoints: lateEntries, plugins: [pageForBundle] };
  metafiles.push((await build(late)).metafile, (await dashboardPage()).metafile);
  for (const name of rare)
    writeFileSync(join(work, `${name}.js.br`), brotliCompressSync(readFileSync(join(work, `${name}.js`))));
  return metafiles;
}

async function executable(arch) {
  const node = runtimeFor(arch, join(work, `runtime-${arch}`));
  const bundle = (program) => join(work, `${program}.js`);
  const cache = (program) => join(work, `${program}.${arch}.cache`);
  const starter = withoutCode ? null : starterOf(arch, node);
  if (starter === null && !withoutCode)
    console.warn(
      `linux-${arch} is built without compiled code, since V8 compiles for its own architecture only: a start takes longer. With \
qemu-user-static, libc6-${arch}-cross and libstdc++6-${arch}-cross (Debian) it can be made here, too.`,
    );
  if (starter !== null)
    await recordAll({ ...starter, programs: withCode, bundle, cache, local: localHere(), commands: true });
  const dir = join(out, `linux-${arch}`);
  mkdirSync(dir, { recursive: true });
  const path = join(dir, 'compute_ctl');
  const contents = readFileSync(node);
  const unused = withoutLanguages(contents);
  const program = inject(contents, makeBlob(arch, cache, starter !== null), unused);
  blankExports(program);
  write(path, program);
  const others = [{ title: `Node.js ${process.version.slice(1)}`, text: nodeLicense(node) }];
  writeFileSync(join(dir, 'THIRD-PARTY-LICENSES.txt'), licensesFile(packages, others));
  writeFileSync(join(dir, 'sbom.cdx.json'), billOfMaterials(packages, process.versions));
  console.log(path);
}

/** The command of a compute-local that runs here: an executable without compiled code, whatever the other is built for. */
function localHere() {
  const node = runtimeFor(process.arch, join(work, `runtime-${process.arch}`));
  const path = join(work, 'compute_ctl');
  write(
    path,
    inject(
      readFileSync(node),
      makeBlob(process.arch, () => '', false),
    ),
  );
  return [path, 'compute-local'];
}

/** How Node of that architecture is started here; null: it cannot be. */
function starterOf(arch, node) {
  if (arch === process.arch && process.platform === 'linux') return { node: [node] };
  const [emulator, libraries, loader] = {
    arm64: ['qemu-aarch64-static', '/usr/aarch64-linux-gnu/lib', 'ld-linux-aarch64.so.1'],
    x64: ['qemu-x86_64-static', '/usr/x86_64-linux-gnu/lib', 'ld-linux-x86-64.so.2'],
  }[arch];
  // Not with qemu's -L, which would also show those libraries in place of the root directory.
  const args = [join(libraries, loader), '--library-path', libraries, node];
  const { status } = spawnSync(emulator, [...args, '-e', '0'], { stdio: 'ignore', timeout: 60_000 });
  return status === 0 ? { node: [emulator, ...args], patience: 10 } : null;
}

/** What Node finds in the executable: main.cjs and all that it loads. */
function makeBlob(arch, cache, hasCaches) {
  const [config, output] = [join(work, `${arch}.json`), join(work, `${arch}.blob`)];
  const file = (name) => [name, join(work, name)];
  const assets = [
    ...[...Object.keys(bundles), ...Object.keys(lateEntries)].map((name) => file(fileOf(name))),
    ...(hasCaches ? withCode.map((name) => [`${name}.js.cache`, cache(name)]) : []),
  ];
  const isNative = arch === process.arch;
  writeFileSync(
    config,
    JSON.stringify({
      ...seaConfig,
      useCodeCache: isNative && hasCaches,
      output,
      assets: Object.fromEntries(assets),
    }),
  );
  // The blob's format depends on the version of Node, not on its architecture.
  const { status, stderr } = spawnSync(runtime(), ['--experimental-sea-config', config], {
    cwd: root,
    encoding: 'utf8',
  });
  if (status !== 0) die(`Node could not make the contents of the executable: ${stderr}`);
  return readFileSync(output);
}

/** In small pieces: a file that was written in large ones the kernel maps in large ones, too, and a process then seems to need
 *  20 MB more of it. */
function write(path, content) {
  const piece = 64 * 1024;
  rmSync(path, { force: true });
  const file = openSync(path, 'w', 0o755);
  for (let at = 0; at < content.length; at += piece)
    writeSync(file, content, at, Math.min(piece, content.length - at));
  closeSync(file);
}
