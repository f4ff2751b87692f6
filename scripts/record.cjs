'use strict';
// Runs a bundle as launcher.cjs and executable/main.cjs do, and leaves the code that V8 compiled meanwhile in a file:
// record.cjs <bundle> <file> <program> [arguments]
// With RECORD_ADDS, what was compiled for other commands before stays in the file.
const { openSync, readFileSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { setFlagsFromString } = require('node:v8');
const { Script } = require('node:vm');
const { wrapped } = require('./wrapped.cjs');

const [, , filename, file, program, ...args] = process.argv;
process.argv = [process.argv[0], path.join(path.dirname(filename), `${program}.js`), ...args];
const before = process.env.RECORD_ADDS === undefined ? {} : { cachedData: readFileSync(file) };
delete process.env.RECORD_ADDS;
const script = new Script(wrapped(readFileSync(filename, 'latin1')), { filename, ...before });
// Opened now: at its exit the program has given up root, and could not create the file.
const opened = openSync(file, 'w');
process.on('exit', () => {
  // V8 takes code only under the flags that it was made under: what src/core/garbage.ts sets is set back to V8's own.
  setFlagsFromString('--semi-space-growth-factor=2');
  writeFileSync(opened, script.createCachedData());
});
script.runInThisContext()(exports, require, module, filename, path.dirname(filename));
// The bundle of the executable holds all programs, as functions; the others run when they are loaded.
module.exports[program]?.();
if (program === 'grpc-js.late') require('./record-grpc.cjs')(module.exports);
