import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { walkTheExtensions } from './contract/extensions.ts';
import { walkEveryRoute } from './contract/every-route.ts';
import { walkTheReplica } from './contract/replica.ts';
import { walkARunningPrimary } from './contract/running.ts';
import { walkTheStatuses } from './contract/statuses.ts';
import { seen } from './contract/walk.ts';

// The contract of the HTTP API, walked against the built program with a real Postgres: every route, every status of the
// compute, every failure. The last test holds what was seen against the committed OpenAPI document.

walkEveryRoute();
walkARunningPrimary();
walkTheReplica();
walkTheExtensions();
walkTheStatuses();

/** Documented for every route, and made by the server rather than the route: a defect, its end, its limit. They have
 *  tests of their own in test/unit/http. */
const ofTheServer = /^(?:500|503|504)$/;
/** A 500 that the route itself documents as an answer; the others are for defects only. */
const ownFailures = [
  'GET /autoscaling_metrics 500',
  'GET /insights 500',
  'GET /dbs_and_roles 500',
  'GET /database_schema 500',
  'POST /check_writability 500',
  'POST /configure 500',
  'POST /promote 500',
  'GET /hadron_liveness_probe 500',
  'GET /readyz 503',
  'GET /startupz 503',
  'POST /extensions 500',
  'POST /grants 500',
  'POST /refresh_configuration 500',
];
/** With a file cache and a gateway: seen by the tests of these. */
const elsewhere = /^POST \/lfc\/(?:prewarm|offload) 429$|^POST \/extension_server.* 200$/;

test('every status that the OpenAPI document promises has been seen', () => {
  const file = new URL('../../docs/reference/openapi.json', import.meta.url);
  const { paths } = JSON.parse(readFileSync(file, 'utf8')) as {
    paths: Record<string, Record<string, { responses?: Record<string, unknown> }>>;
  };
  const promised = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, { responses = {} }]) =>
      Object.keys(responses)
        .filter((status) => !ofTheServer.test(status))
        .map((status) => `${method.toUpperCase()} ${path} ${status}`),
    ),
  );
  expect(promised.length).toBeGreaterThan(100);
  const missing = [...promised, ...ownFailures].filter((cell) => !seen.has(cell) && !elsewhere.test(cell));
  expect(missing).toEqual([]);
});
