#!/usr/bin/env node
'use strict';
// Runs the bundle beside it with the code that was compiled when it was built, which saves a start a third of its time
// until it listens. V8 checks that it fits, and compiles anew when it does not.
const { readFileSync } = require('node:fs');
const path = require('node:path');
const { Script } = require('node:vm');

// The real path: once root is given up, a link to it may be out of reach.
process.argv[1] = __filename;
// Without a handler, SIGUSR1 opens Node's debugger to everybody on this machine. A signal that came before this line has
// opened it already, or does so in the first turn of the event loop. (The public way, node:inspector, takes 2 ms to load.)
process.on('SIGUSR1', () => {});
if (![...process.execArgv, process.env.NODE_OPTIONS ?? ''].some((given) => given.includes('--inspect'))) {
  process._debugEnd?.();
  setImmediate(() => process._debugEnd?.());
}

/** What is loaded late has code of its own beside it, too. */
const requireFor = (name) => (name.startsWith('./') ? load(path.join(__dirname, name), {}) : require(name));

const loaded = new Map();

function load(filename, exported) {
  const known = loaded.get(filename);
  if (known !== undefined) return known.exports;
  const made = { exports: exported };
  loaded.set(filename, made);
  // The bundle is ASCII, which is read faster as what it is.
  const source = `(function (exports, require, module, __filename, __dirname) {${readFileSync(filename, 'latin1')}\n})`;
  const script = new Script(source, { filename, cachedData: compiled(filename) });
  script.runInThisContext()(made.exports, requireFor, made, filename, __dirname);
  return made.exports;
}

function compiled(filename) {
  try {
    return readFileSync(`${filename}.cache`);
  } catch {
    return undefined;
  }
}

load(path.join(__dirname, `${path.basename(__filename, '.js')}.bundle.js`), exports);
