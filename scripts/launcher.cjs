#!/usr/bin/env node
'use strict';
// Runs the bundle beside it with the code that was compiled when it was built, which saves a start a third of its time
// until it listens. V8 checks that it fits, and compiles anew when it does not.
// This file must not use what Node 10 cannot read, so that an old Node, too, gets as far as this message.
const needed = [22, 12];
const path = require('path');
const version = process.versions.node.split('.').map(Number);
if (version[0] < needed[0] || (version[0] === needed[0] && version[1] < needed[1])) {
  console.error(
    `${path.basename(__filename, '.js')} needs Node ${needed.join('.')} or newer. This is Node ${process.versions.node}, ${process.execPath}.`,
  );
  console.error(
    'Install a newer Node, or use the single executable, which has its own: see docs/installing.md.',
  );
  process.exit(1);
}
const readFileSync = require('fs').readFileSync;
const Script = require('vm').Script;

// The real path: once root is given up, a link to it may be out of reach.
process.argv[1] = __filename;
// Without a handler, SIGUSR1 opens Node's debugger to everybody on this machine. A signal that came before this line has
// opened it already, or does so in the first turn of the event loop. (The public way, node:inspector, takes 2 ms to load.)
process.on('SIGUSR1', () => {});
if (!process.execArgv.concat(process.env.NODE_OPTIONS || '').some((given) => given.includes('--inspect'))) {
  const endDebugger = () => process._debugEnd && process._debugEnd();
  endDebugger();
  setImmediate(() => endDebugger());
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
