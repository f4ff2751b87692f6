import type { ResolvedSpec } from '../spec/resolve.ts';

/** A line for each part of a spec that is accepted and has no effect yet: never silently. */
export function notBuiltYet({ spec }: ResolvedSpec): string[] {
  const wishes: readonly (readonly [string, boolean])[] = [
    ['pgbouncer_settings', spec.pgbouncer_settings !== null],
    ['local_proxy_config', spec.local_proxy_config !== null],
    ['remote_extensions', spec.remote_extensions !== null],
    ['logs_export_host (rsyslog)', spec.logs_export_host !== null],
    [`audit_log_level ${spec.audit_log_level} (rsyslog)`, needsRsyslog.has(spec.audit_log_level)],
    ['autoprewarm', spec.autoprewarm],
    ['offload_lfc_interval_seconds', spec.offload_lfc_interval_seconds !== null],
  ];
  return wishes.filter(([, wished]) => wished).map(([what]) => `not built yet: ${what}`);
}

const needsRsyslog: ReadonlySet<string> = new Set(['Hipaa', 'Extended', 'Full']);
