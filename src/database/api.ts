import type { Readable } from 'node:stream';
import type { Log } from '../core/log.ts';
import { mustAcceptConnections } from './alive.ts';
import { type Proxied, communicatorMetrics } from './communicator.ts';
import { type DbsAndRoles, readDbsAndRoles } from './dbs-and-roles.ts';
import { type SchemaGrant, grantOnSchema } from './grants.ts';
import { collectInsights } from './insights.ts';
import { type WantedExtension, installExtension } from './install-extension.ts';
import { SchemaDumps } from './schema-dump.ts';
import type { OwnPostgres } from './settings.ts';

/** Calls to this compute's Postgres over HTTP. Each call has its own connection or process, which ends when the call
 *  settles or when `signal` aborts. */
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

export function ownDatabase(settings: OwnPostgres, log: Log): DatabaseApi {
  const { target, pgdata } = settings;
  const dumps = new SchemaDumps(settings, log);
  return {
    insights: (signal) => collectInsights(target, log, signal),
    dbsAndRoles: (signal) => readDbsAndRoles(target, signal),
    schema: (database, signal) => dumps.dump(database, signal),
    grant: (grant, signal) => grantOnSchema(grant, target, signal),
    installExtension: (wanted, signal) => installExtension(wanted, target, signal),
    mustAcceptConnections: (signal) => mustAcceptConnections(target, signal),
    autoscalingMetrics: (signal) => communicatorMetrics(pgdata, signal),
  };
}
