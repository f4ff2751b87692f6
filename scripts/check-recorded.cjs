'use strict';
// Exits with 1 when V8 does not take the recorded code of a bundle: check-recorded.cjs <bundle> <file>
const { readFileSync } = require('node:fs');
const { Script } = require('node:vm');
const { wrapped } = require('./wrapped.cjs');

const [, , filename, file] = process.argv;
const { cachedDataRejected } = new Script(wrapped(readFileSync(filename, 'latin1')), {
  filename,
  cachedData: readFileSync(file),
});
process.exitCode = cachedDataRejected === false ? 0 : 1;
