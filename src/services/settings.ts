import type { OwnPostgres } from '../database/settings.ts';
import type { TlsFiles } from '../postgres/tls.ts';
import type { RunOptions } from '../config/options.ts';
import type { ComputeCtlConfig } from '../spec/schema.ts';
import { type VmSettings, vmSettings } from './vm-settings.ts';

/** The settings that are fixed for the process's life: command line and environment, resolved. */
export interface Settings extends OwnPostgres {
  readonly privilegedRole: string;
  readonly internalHttpPort: number;
  /** Paths of the certificate and key of the config; null without TLS. */
  readonly tls: TlsFiles | null;
  readonly startTimeoutMs: number;
  readonly stopTimeoutMs: number;
  readonly syncTimeoutMs: number;
  readonly basebackupIdleMs: number;
  readonly exitGraceMs: number;
  readonly vm: VmSettings;
}

/** A superuser can read Postgres's environment by SQL. */
export function environmentOfPostgres(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { NEON_CONTROL_PLANE_TOKEN: _token, PGBOUNCER_PASSWORD: _password, ...rest } = env;
  return rest;
}

export interface Found {
  readonly target: Settings['target'];
  readonly runAs: Settings['runAs'];
  readonly bin: Settings['bin'];
  readonly tls: ComputeCtlConfig['tls'];
}

/** @param found what was looked up and parsed before */
export const settingsOf = (options: RunOptions, env: NodeJS.ProcessEnv, found: Found): Settings => ({
  ...found,
  target: { ...found.target, major: found.bin.major },
  tls: found.tls === null ? null : { keyPath: found.tls.key_path, certPath: found.tls.cert_path },
  pgdata: options.pgdata,
  env: environmentOfPostgres(env),
  privilegedRole: options.privilegedRoleName,
  internalHttpPort: options.internalHttpPort,
  startTimeoutMs: options.startTimeoutSeconds * 1000,
  stopTimeoutMs: options.stopTimeoutSeconds * 1000,
  syncTimeoutMs: options.syncTimeoutSeconds * 1000,
  basebackupIdleMs: options.basebackupIdleTimeoutSeconds * 1000,
  exitGraceMs: options.exitGraceMs,
  vm: vmSettings(options, env),
});
