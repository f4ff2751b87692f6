import { pino } from 'pino';
import { never } from '../../src/core/abort.ts';
import { Failpoints } from '../../src/core/failpoints.ts';
import { Secret } from '../../src/core/secret.ts';
import { Metrics } from '../../src/metrics/registry.ts';
import { EndpointFileCache } from '../../src/services/file-cache/file-cache.ts';

/** The file cache of a compute that has no spec. */
export const idleFileCache = (): EndpointFileCache =>
  new EndpointFileCache({
    target: {
      host: '127.0.0.1',
      port: 1,
      user: 'nobody',
      password: new Secret(''),
      database: 'postgres',
      options: '',
    },
    env: {},
    log: pino({ level: 'silent' }),
    metrics: new Metrics(),
    failpoints: new Failpoints(),
    spec: () => null,
    ending: never,
  });
