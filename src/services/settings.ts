import type { OwnPostgres } from '../database/settings.ts';
import type { LogFormat } from '../core/log.ts';
import type { Secret } from '../core/secret.ts';
import type { Lakebase } from '../postgres/lakebase.ts';
import type { TlsFiles } from '../postgres/tls.ts';
import { environmentForPrograms } from '../process/environment.ts';
import { basebackupRetries } from '../storage/basebackup.ts';
import { controlPlaneToken } from '../config/control-plane-token.ts';
import type { RunOptions } from '../config/options.ts';
import type { ComputeCtlConfig } from '../spec/schema.ts';
import {
  type AuditSettings,
  type RsyslogSettings,
  auditSettings,
  rsyslogSettings,
} from './rsyslog/settings.ts';
import { type HelperSettings, helperSettings } from './helper-settings.ts';
import { type VmSettings, vmSettings } from './vm-settings.ts';

/** Where a storage is asked. */
export interface StorageAddress {
  readonly url: string;
  /** The control plane's token. */
  readonly token: (signal: AbortSignal) => Promise<Secret>;
}

/** The settings that are fixed for the process's life: command line and environment, resolved. */
export interface Settings extends OwnPostgres {
  readonly privilegedRole: string;
  readonly internalHttpPort: number;
  /** Paths of the certificate and key of the config; null without TLS. */
  readonly tls: TlsFiles | null;
  /** A data directory that compute_ctl did not create may be wiped. */
  readonly wipeForeign: boolean;
  /** May hold a data directory for this start; null: there is none. */
  readonly preparedPgdata: string | null;
  /** Between two counts of the installed extensions, as long as no spec sets it. */
  readonly installedExtensionsSeconds: number;
  /** Extensions can be downloaded. */
  readonly hasGateway: boolean;
  readonly startTimeoutMs: number;
  readonly stopTimeoutMs: number;
  readonly syncTimeoutMs: number;
  readonly basebackupIdleMs: number;
  readonly unpackLimits: { readonly bytes: number; readonly entries: number };
  readonly basebackupRetries: number;
  /** Null outside lakebase mode. */
  readonly lakebase: Lakebase | null;
  /** Only in lakebase mode; null: no limit. */
  readonly initTimeoutMs: number | null;
  readonly exitGraceMs: number;
  readonly logFormat: LogFormat;
  readonly vm: VmSettings;
  readonly rsyslog: RsyslogSettings;
  readonly audit: AuditSettings;
  readonly helpers: HelperSettings;
  /** Where the storage is asked about itself; null: it is not. */
  readonly storageStatus: StorageAddress | null;
}

export interface Found {
  readonly target: Settings['target'];
  readonly bin: Settings['bin'];
  readonly tls: ComputeCtlConfig['tls'];
}

const initTimeoutSeconds = 60;

/** Compute ids there are `ENDPOINT/NUMBER`. */
const endpointId = ({ computeId }: RunOptions, env: NodeJS.ProcessEnv): string =>
  env['INSTANCE_ID'] ?? computeId?.split('/', 1)[0] ?? '';

/** @param found what was looked up and parsed before */
export const settingsOf = (options: RunOptions, env: NodeJS.ProcessEnv, found: Found): Settings => ({
  ...found,
  target: { ...found.target, major: found.bin.major },
  tls: found.tls === null ? null : { keyPath: found.tls.key_path, certPath: found.tls.cert_path },
  pgdata: options.pgdata,
  env: environmentForPrograms(env),
  privilegedRole: options.privilegedRoleName,
  internalHttpPort: options.internalHttpPort,
  wipeForeign: options.wipeForeignPgdata,
  preparedPgdata: options.preparedPgdata,
  installedExtensionsSeconds: options.installedExtensionsIntervalSeconds,
  hasGateway: options.remoteExtBaseUrl !== null,
  startTimeoutMs: options.startTimeoutSeconds * 1000,
  stopTimeoutMs: options.stopTimeoutSeconds * 1000,
  syncTimeoutMs: options.syncTimeoutSeconds * 1000,
  basebackupIdleMs: options.basebackupIdleTimeoutSeconds * 1000,
  unpackLimits: { bytes: options.basebackupLimitBytes, entries: options.basebackupEntries },
  basebackupRetries: basebackupRetries(env),
  lakebase: options.lakebaseMode ? { port: found.target.port, endpointId: endpointId(options, env) } : null,
  initTimeoutMs: options.lakebaseMode ? (options.pgInitTimeoutSeconds ?? initTimeoutSeconds) * 1000 : null,
  exitGraceMs: options.exitGraceMs,
  logFormat: options.logFormat,
  vm: vmSettings(options, env),
  rsyslog: rsyslogSettings(options),
  audit: auditSettings(options, env),
  helpers: helperSettings(options, env),
  storageStatus:
    options.storageStatusUri === null
      ? null
      : {
          url: options.storageStatusUri,
          token: (signal) => controlPlaneToken(options.controlPlaneTokenFile, env, signal),
        },
});
