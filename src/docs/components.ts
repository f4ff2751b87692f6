import * as v from 'valibot';
import type { Schema } from '../http/route.ts';
import { configure } from '../http/routes/configure.ts';
import { dbsAndRoles } from '../http/routes/dbs-and-roles.ts';
import { downtime } from '../http/routes/downtime.ts';
import { extensions } from '../http/routes/extensions.ts';
import { failpoints } from '../http/routes/failpoints.ts';
import { computeStatus, probeStatus } from '../http/routes/fields.ts';
import { grants } from '../http/routes/grants.ts';
import { offloadStatus, prewarmStatus } from '../http/routes/lfc.ts';
import { metricsJson } from '../http/routes/metrics-json.ts';
import { promote } from '../http/routes/promote.ts';
import { terminate } from '../http/routes/terminate.ts';
import { computeSpecSchema } from '../spec/schema.ts';
import { Cluster, Database, DeltaOp, GenericOption, Role } from '../spec/schema/cluster.ts';
import { ComputeCtlConfig, Jwk } from '../spec/schema/config.ts';
import { PageserverConnectionInfo } from '../spec/schema/pageserver.ts';
import { DatabricksSettings, LocalProxyConfig, RemoteExtensions } from '../spec/schema/services.ts';
import { type JsonSchema, jsonSchema, withReferences } from './json-schema.ts';

const failure = v.object({ error: v.pipe(v.string(), v.description('What failed, as a text for people.')) });

const bodyOf = ({ body }: { readonly body?: Schema }): Schema => body ?? v.unknown();

/** Schemas with their own name, in the document and in the client. */
const schemas: Readonly<Record<string, Schema>> = {
  ErrorBody: failure,
  ComputeStatus: computeStatus,
  ProbeStatus: probeStatus,
  StartFigures: metricsJson.reply,
  Downtime: downtime.reply,
  DbsAndRoles: dbsAndRoles.reply,
  Terminated: terminate.reply,
  PromoteState: promote.reply,
  PrewarmState: prewarmStatus.reply,
  OffloadState: offloadStatus.reply,
  InstalledExtension: extensions.reply,
  ConfigureRequest: bodyOf(configure),
  PromoteRequest: bodyOf(promote),
  InstallExtension: bodyOf(extensions),
  SchemaGrant: grants.reply,
  Failpoints: bodyOf(failpoints),
  ComputeSpec: computeSpecSchema,
  Cluster,
  Role,
  Database,
  GenericOption,
  DeltaOp,
  PageserverConnectionInfo,
  RemoteExtensions,
  LocalProxyConfig,
  DatabricksSettings,
  ComputeCtlConfig,
  Jwk,
};

const plain = new Map(Object.entries(schemas).map(([name, schema]) => [name, jsonSchema(schema)]));

/** Each with references to the others. */
export const components: Readonly<Record<string, JsonSchema>> = Object.fromEntries(
  [...plain].map(([name, schema]) => [name, withReferences(schema, plain, name)]),
);

/** The JSON Schema of a part of a route, with references for its named parts. */
export const describe = (schema: Schema): JsonSchema => withReferences(jsonSchema(schema), plain);
