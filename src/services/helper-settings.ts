import { Secret } from '../core/secret.ts';
import type { PgTarget } from '../pg/target.ts';

/** Where the programs beside Postgres are that something else starts: pgbouncer and local_proxy. */
export interface HelperSettings {
  readonly pgbouncer: {
    readonly iniPath: string;
    readonly pidPath: string;
    /** Its admin console. */
    readonly admin: PgTarget;
  };
  readonly localProxy: { readonly configPath: string; readonly pidPath: string };
  /** True: a signal to compute_ctl does not stop them (`--dev`). */
  readonly keptOnSignal: boolean;
}

/** The options for `HelperSettings`. */
export interface HelperOptions {
  readonly pgbouncerIni: string | null;
  readonly pgbouncerHost: string | null;
  readonly pgbouncerPort: number;
  readonly pgbouncerPidFile: string;
  readonly localProxyConfig: string;
  readonly localProxyPidFile: string;
  readonly dev: boolean;
}

/** @param env `AUTOSCALING` counts when it is set, even if empty */
export function helperSettings(options: HelperOptions, env: NodeJS.ProcessEnv): HelperSettings {
  const inVm = env['AUTOSCALING'] !== undefined;
  const password = inVm ? undefined : env['PGBOUNCER_PASSWORD'];
  return {
    pgbouncer: {
      iniPath:
        options.pgbouncerIni ?? (inVm ? '/etc/pgbouncer.ini' : '/var/db/postgres/pgbouncer/pgbouncer.ini'),
      pidPath: options.pgbouncerPidFile,
      admin: {
        host: options.pgbouncerHost ?? (inVm ? '/tmp' : 'localhost'),
        port: options.pgbouncerPort,
        user: inVm ? 'pgbouncer' : 'postgres',
        password: password === undefined || password === '' ? null : new Secret(password),
        database: 'pgbouncer',
        options: '',
      },
    },
    localProxy: { configPath: options.localProxyConfig, pidPath: options.localProxyPidFile },
    keptOnSignal: options.dev,
  };
}
