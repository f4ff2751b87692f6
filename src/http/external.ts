import type { Route } from './route.ts';
import { checkWritability } from './routes/check-writability.ts';
import { configure } from './routes/configure.ts';
import { downtime } from './routes/downtime.ts';
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
  downtime,
  checkWritability,
  configure,
  terminate,
  livez,
  readyz,
  startupz,
];
