import type { Route } from './route.ts';
import { configure } from './routes/configure.ts';
import { livez } from './routes/livez.ts';
import { metricsJson } from './routes/metrics-json.ts';
import { metrics } from './routes/metrics.ts';
import { readyz } from './routes/readyz.ts';
import { startupz } from './routes/startupz.ts';
import { status } from './routes/status.ts';
import { terminate } from './routes/terminate.ts';

/** The server for control planes, scrapers and probes. */
export const externalRoutes: readonly Route[] = [
  status,
  metrics,
  metricsJson,
  configure,
  terminate,
  livez,
  readyz,
  startupz,
];
