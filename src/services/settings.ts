import type { OwnPostgres } from '../database/settings.ts';
import type { TlsFiles } from '../postgres/tls.ts';
import type { VmSettings } from './vm-settings.ts';

/** What is fixed for the life of the process: the command line and the environment, looked up and resolved. */
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

/** Whoever may run SQL as a superuser can read the environment of Postgres. */
export function environmentOfPostgres(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { NEON_CONTROL_PLANE_TOKEN: _token, PGBOUNCER_PASSWORD: _password, ...rest } = env;
  return rest;
}
