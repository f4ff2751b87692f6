'use strict';
// Runs a bundle as launcher.cjs does, and leaves the code that V8 compiled meanwhile beside it: record.cjs <bundle> [arguments]
const { openSync, readFileSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const { Script } = require('node:vm');

const [, , filename, ...args] = process.argv;
process.argv = [process.argv[0], filename.replace('.bundle.js', '.js'), ...args];
const source = `(function (exports, require, module, __filename, __dirname) {${readFileSync(filename, 'latin1')}\n})`;
const script = new Script(source, { filename });
// Opened now: at its exit the program has given up root, and could not create the file.
const cache = openSync(`${filename}.cache`, 'w');
process.on('exit', () => writeFileSync(cache, script.createCachedData()));
script.runInThisContext()(exports, require, module, filename, path.dirname(filename));
