'use strict';

const head = '(function (exports, require, module, __filename, __dirname) {';

/** A bundle as Node wraps a CommonJS module; that of the executable is wrapped already. */
exports.wrapped = (text) => (text.startsWith(head) ? text : `${head}${text}\n})`);
