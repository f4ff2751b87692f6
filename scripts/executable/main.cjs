'use strict';
// The first thing that the single executable runs: picks one of the programs, and runs it with the code that was compiled when
// the executable was built. V8 checks that it fits, and compiles anew when it does not.
const { getRawAsset } = require('node:sea');
const { Script } = require('node:vm');

/** The bundle of each. */
const programs = {
  compute_ctl: 'compute_ctl.js',
  'compute-local': 'compute-local.js',
  'vm-monitor': 'compute_ctl.js',
};

/** By the name that the file is called by, a link's name, too; otherwise by the first argument; otherwise compute_ctl. */
function pickProgram() {
  const called = process.argv0.slice(process.argv0.lastIndexOf('/') + 1);
  if (called !== 'compute_ctl' && Object.hasOwn(programs, called)) return called;
  return Object.hasOwn(programs, process.argv[2]) ? process.argv.splice(2, 1)[0] : 'compute_ctl';
}

/** Undefined when there is none of this name. */
function asset(name) {
  try {
    return Buffer.from(getRawAsset(name));
  } catch {
    return undefined;
  }
}

/** What is needed rarely is compressed. Undefined when there is none of this name. */
function assetOrCompressed(name) {
  const plain = asset(name);
  if (plain !== undefined) return plain;
  const compressed = asset(`${name}.br`);
  return compressed === undefined ? undefined : require('node:zlib').brotliDecompressSync(compressed);
}

/** The sources are ASCII, which is read faster as what it is. */
const sourceOf = (name) => assetOrCompressed(name).latin1Slice();

const loaded = new Map();

function load(name) {
  let module = loaded.get(name);
  if (module !== undefined) return module.exports;
  module = { exports: {} };
  loaded.set(name, module);
  const script = new Script(sourceOf(name), {
    filename: name,
    cachedData: asset(`${name}.cache`),
  });
  script.runInThisContext()(module.exports, requireFor, module, name, '');
  return module.exports;
}

function requireFor(name) {
  if (name.startsWith('./')) return load(name.slice(2));
  const found = process.getBuiltinModule(name);
  if (found !== undefined) return found;
  // Packages try whether an optional one is there.
  throw Object.assign(new Error(`Cannot find module '${name}'`), { code: 'MODULE_NOT_FOUND' });
}

const program = pickProgram();
process.argv[1] = process.execPath;
load(programs[program])[program]();
