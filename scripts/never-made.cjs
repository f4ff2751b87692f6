'use strict';
/** In the place of a class of a package that another one loads, but of which nothing here makes one. */
module.exports = function neverMade() {
  throw new Error('this is not part of the bundle');
};
