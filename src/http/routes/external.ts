import type { ComputeRoute } from './route.ts';
import { autoscalingMetrics } from './autoscaling-metrics.ts';
import { checkWritability } from './check-writability.ts';
import { configure } from './configure.ts';
import { databaseSchema } from './database-schema.ts';
import { dbsAndRoles } from './dbs-and-roles.ts';
import { downtime } from './downtime.ts';
import { hadronLivenessProbe } from './hadron-liveness-probe.ts';
import { insights } from './insights.ts';
import { cancelPrewarm, offload, offloadStatus, prewarm, prewarmStatus } from './lfc.ts';
import { livez } from './livez.ts';
import { metricsJson } from './metrics-json.ts';
import { metrics } from './metrics.ts';
import { openapi } from './openapi.ts';
import { promote } from './promote.ts';
import { readyz } from './readyz.ts';
import { startupz } from './startupz.ts';
import { status } from './status.ts';
import { terminate } from './terminate.ts';

/** The external server, for control planes, scrapers and probes. */
export const externalRoutes: readonly ComputeRoute[] = [
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
