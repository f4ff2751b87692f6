import type { Route } from './route.ts';
import { autoscalingMetrics } from './routes/autoscaling-metrics.ts';
import { checkWritability } from './routes/check-writability.ts';
import { configure } from './routes/configure.ts';
import { databaseSchema } from './routes/database-schema.ts';
import { dbsAndRoles } from './routes/dbs-and-roles.ts';
import { downtime } from './routes/downtime.ts';
import { hadronLivenessProbe } from './routes/hadron-liveness-probe.ts';
import { insights } from './routes/insights.ts';
import { cancelPrewarm, offload, offloadStatus, prewarm, prewarmStatus } from './routes/lfc.ts';
import { livez } from './routes/livez.ts';
import { metricsJson } from './routes/metrics-json.ts';
import { metrics } from './routes/metrics.ts';
import { openapi } from './routes/openapi.ts';
import { promote } from './routes/promote.ts';
import { readyz } from './routes/readyz.ts';
import { startupz } from './routes/startupz.ts';
import { status } from './routes/status.ts';
import { terminate } from './routes/terminate.ts';

/** The server for control planes, scrapers and probes. */
export const externalRoutes: readonly Route[] = [
  status,
  metrics,
  metricsJson,
  autoscalingMetrics,
  downtime,
  insights,
  dbsAndRoles,
  databaseSchema,
  checkWritability,
  configure,
  terminate,
  promote,
  prewarmStatus,
  prewarm,
  cancelPrewarm,
  offloadStatus,
  offload,
  hadronLivenessProbe,
  livez,
  readyz,
  startupz,
  openapi,
];
