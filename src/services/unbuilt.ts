import { ComputeError } from '../core/errors.ts';
import { complianceLines, isCompliance } from '../postgres/conf-audit.ts';
import type { ResolvedSpec } from '../spec/resolve.ts';
import type { ComputeSpec } from '../spec/schema.ts';
import type { Service } from './service.ts';

/** A part of the spec that is accepted and has no effect yet; the log says so. */
const unbuilt = (name: string, isAsked: (spec: ComputeSpec) => boolean): Service<true> => ({
  name,
  when: 'beside-postgres',
  wants: ({ spec }) => (isAsked(spec) ? true : null),
});

export const pgbouncer = unbuilt('pgbouncer', (spec) => spec.pgbouncer_settings !== null);
export const localProxy = unbuilt('local-proxy', (spec) => spec.local_proxy_config !== null);

/** Sends Postgres's log to a collector by rsyslog. Without it, what Postgres sends to syslog is lost. */
export const logsExport: Service<true> = {
  ...unbuilt('logs-export', (spec) => spec.logs_export_host !== null),
  conf: () => ["log_destination='stderr,syslog'"],
};

/** Reads the files that pgauditlogtofile writes. Without it, they fill the disk. */
export const auditLog: Service<ResolvedSpec> = {
  name: 'audit-log',
  when: 'beside-postgres',
  wants: (resolved) => (isCompliance(resolved.spec.audit_log_level) ? resolved : null),
  conf: ({ spec }) => complianceLines(spec),
};

/** Refuses a spec that requires a service that is not built. Running it without an audit log, with only a warning,
 *  would be worse.
 *  @throws ComputeError `spec_invalid` */
export function assertServable({ spec }: ResolvedSpec): void {
  if (auditLog.start !== undefined || !isCompliance(spec.audit_log_level)) return;
  throw new ComputeError(
    'spec_invalid',
    `spec.audit_log_level: ${spec.audit_log_level} requires the service audit-log, which is not built yet`,
    { hint: "use the level Base, which writes to Postgres's log, or Disabled" },
  );
}
