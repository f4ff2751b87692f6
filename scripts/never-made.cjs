'use strict';
/** In the place of a package that another one loads, but which nothing here uses. */
module.exports = class NeverMade {
  constructor() {
    throw new Error('this is not part of the bundle');
  }
};
