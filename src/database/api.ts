import type { Readable } from 'node:stream';
import type { Log } from '../core/log.ts';
import { mustAcceptConnections } from './alive.ts';
import { type Proxied, communicatorMetrics } from './communicator.ts';
import { type DbsAndRoles, readDbsAndRoles } from './dbs-and-roles.ts';
import { type SchemaGrant, grantOnSchema } from './grants.ts';
import { collectInsights } from './insights.ts';
import { type WantedExtension, installExtension } from './install-extension.ts';
import { SchemaDumps } from './schema-dump.ts';
import { SessionLimit } from './session-limit.ts';
import type { OwnPostgres } from './settings.ts';

/** Calls to this compute's Postgres over HTTP. Each call has its own connection or process, which ends when the call
 *  settles or when `signal` aborts; only a few calls have one at a time, and the others wait. */
export interface DatabaseApi {
  /** The text of a JSON document. */
  insights(signal: AbortSignal): Promise<string>;
  dbsAndRoles(signal: AbortSignal): Promise<DbsAndRoles>;
  /** SQL text; see `SchemaDumps`. */
  schema(database: string, signal: AbortSignal): Promise<Readable>;
  grant(grant: SchemaGrant, signal: AbortSignal): Promise<void>;
  installExtension(wanted: WantedExtension, signal: AbortSignal): Promise<void>;
  mustAcceptConnections(signal: AbortSignal): Promise<void>;
  autoscalingMetrics(signal: AbortSignal): Promise<Proxied>;
}

/** Sessions for requests: ten of Postgres's connections at most. An extension may take minutes. */
const limits = {
  requests: { all: 6, each: 2, waitMs: 60_000 },
  installs: { all: 2, each: 1, waitMs: 120_000 },
  probes: { all: 2, each: 2, waitMs: 20_000 },
} as const;

export function ownDatabase(settings: OwnPostgres, log: Log): DatabaseApi {
  const { target, pgdata } = settings;
  const dumps = new SchemaDumps(settings, log);
  const requests = new SessionLimit(limits.requests);
  const installs = new SessionLimit(limits.installs);
  const probes = new SessionLimit(limits.probes);
  const system = target.database;
  return {
    insights: (signal) => requests.run(system, signal, () => collectInsights(target, log, signal)),
    dbsAndRoles: (signal) => requests.run(system, signal, () => readDbsAndRoles(target, log, signal)),
    schema: (database, signal) => dumps.dump(database, signal),
    grant: (grant, signal) =>
      requests.run(grant.database, signal, () => grantOnSchema(grant, target, signal)),
    installExtension: (wanted, signal) =>
      installs.run(wanted.database, signal, () => installExtension(wanted, target, signal)),
    mustAcceptConnections: (signal) =>
      probes.run(system, signal, () => mustAcceptConnections(target, signal)),
    autoscalingMetrics: (signal) => communicatorMetrics(pgdata, signal),
  };
}
