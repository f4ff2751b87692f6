'use strict';
/** In the place of `worker_threads`, of which pino asks this one thing: the programs have no other threads. */
exports.isMainThread = true;
