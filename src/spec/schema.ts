import type * as v from 'valibot';
import type * as cluster from './schema/cluster.ts';
import type * as spec from './schema/compute-spec.ts';
import type * as config from './schema/config.ts';
import type * as pageserver from './schema/pageserver.ts';
import type * as services from './schema/services.ts';

// The shapes after parsing: names as in the JSON, absent or null is null, defaults filled in.
export type ComputeSpec = v.InferOutput<typeof spec.ComputeSpec>;
export type Cluster = v.InferOutput<typeof cluster.Cluster>;
export type Role = v.InferOutput<typeof cluster.Role>;
export type Database = v.InferOutput<typeof cluster.Database>;
export type GenericOption = v.InferOutput<typeof cluster.GenericOption>;
export type DeltaOp = v.InferOutput<typeof cluster.DeltaOp>;
export type ComputeMode = ComputeSpec['mode'];
export type AuditLogLevel = ComputeSpec['audit_log_level'];
export type PageserverConnectionInfo = v.InferOutput<typeof pageserver.PageserverConnectionInfo>;
export type RemoteExtensions = v.InferOutput<typeof services.RemoteExtensions>;
export type LocalProxyConfig = v.InferOutput<typeof services.LocalProxyConfig>;
export type DatabricksSettings = v.InferOutput<typeof services.DatabricksSettings>;

export type Jwk = v.InferOutput<typeof config.Jwk>;
export type ComputeCtlConfig = v.InferOutput<typeof config.ComputeCtlConfig>;
export type ConfigFile = v.InferOutput<typeof config.ConfigFile>;
export type ConfigureBody = v.InferOutput<typeof config.ConfigureBody>;
export type ControlPlaneResponse = v.InferOutput<typeof config.ControlPlaneResponse>;

export {
  ComputeSpec as computeSpecSchema,
  LegacySpec as legacySpecSchema,
  knownFeatures,
} from './schema/compute-spec.ts';
export {
  ConfigFile as configFileSchema,
  ConfigureBody as configureBodySchema,
  ControlPlaneResponse as controlPlaneResponseSchema,
  JwkSet as jwkSetSchema,
} from './schema/config.ts';
