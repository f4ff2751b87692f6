import { resolve } from 'node:path';
import { ComputeError } from '../core/errors.ts';
import { complianceLines, isCompliance } from '../postgres/conf-audit.ts';
import { serverSetting } from '../postgres/server-setting.ts';
import type { ResolvedSpec } from '../spec/resolve.ts';
import { AuditDirectory, drainMs } from './audit-directory.ts';
import { type Endpoint, parseEndpoint } from './rsyslog/endpoint.ts';
import { KeepsFile } from './rsyslog/kept-file.ts';
import { type AuditText, auditText } from './rsyslog/text.ts';
import type { Service } from './service.ts';
import type { Settings } from './settings.ts';

interface Wanted {
  readonly resolved: ResolvedSpec;
  readonly settings: Settings;
}

const file = 'compute_audit_rsyslog.conf';

/** Sends what pgauditlogtofile writes to a collector, by rsyslog, and removes it. Without it, the files would fill the
 *  disk and nobody would read them. */
export const auditLog: Service<Wanted> = {
  name: 'audit-log',
  when: 'beside-postgres',
  stopLimitMs: drainMs + 4000,
  wants: (resolved, settings) =>
    isCompliance(resolved.spec.audit_log_level) ? { resolved, settings } : null,
  conf: ({ resolved, settings }) => (isReadable(resolved, settings) ? complianceLines(resolved.spec) : []),
  cleanUp: ({ rsyslog }) => rsyslog.remove(file),
  async start(wanted, deps) {
    const files = new AuditDirectory(deps);
    return new KeepsFile<Wanted>(
      {
        name: 'audit-log',
        file,
        text: (now) => auditText(textOf(now)),
        look: (now, signal) => files.look(directoryOf(now), collectorOf(now.settings), signal),
        atEnd: (now, patient, signal) => files.end(directoryOf(now), patient, signal),
      },
      wanted,
      deps,
    );
  },
};

/** The spec that Postgres and its catalogs are configured by: without an audit level whose files nobody would read. */
export function withReadableAudit(resolved: ResolvedSpec, settings: Settings): ResolvedSpec {
  const { spec } = resolved;
  if (!isCompliance(spec.audit_log_level) || isReadable(resolved, settings)) return resolved;
  return { ...resolved, spec: { ...spec, audit_log_level: 'Disabled' } };
}

/** What is wrong with the addresses that the spec's logs are sent to: such a compute runs, but without these logs. */
export function wrongAddresses(resolved: ResolvedSpec, settings: Settings): ComputeError[] {
  const { audit_log_level: level, logs_export_host: host } = resolved.spec;
  return [
    ...(isCompliance(level) ? errorOf(() => auditText(textOf({ resolved, settings }))) : []),
    ...(host === null ? [] : errorOf(() => parseEndpoint(host, 'spec.logs_export_host'))),
  ];
}

const isReadable = (resolved: ResolvedSpec, settings: Settings): boolean =>
  errorOf(() => auditText(textOf({ resolved, settings }))).length === 0;

function collectorOf({ audit }: Settings): Endpoint | null {
  try {
    return parseEndpoint(audit.endpoint ?? '', audit.from);
  } catch (error) {
    if (error instanceof ComputeError) return null;
    throw error;
  }
}

function errorOf(work: () => unknown): ComputeError[] {
  try {
    work();
    return [];
  } catch (error) {
    if (error instanceof ComputeError) return [error];
    throw error;
  }
}

function textOf({ resolved: { spec }, settings }: Wanted): AuditText {
  const { audit, rsyslog } = settings;
  if (audit.endpoint === null)
    throw new ComputeError(
      'spec_invalid',
      `spec.audit_log_level: ${spec.audit_log_level} needs a collector, but AUDIT_LOGGING_ENDPOINT and AUDIT_LOGGING_TLS_ENDPOINT are both empty; nothing is audited`,
      {
        hint: 'set one of them to HOST:PORT and start again, or use the level Base, which writes to the log',
      },
    );
  return {
    directory: directoryOf({ resolved: { spec }, settings }),
    collector: parseEndpoint(audit.endpoint, audit.from),
    tls: audit.tls,
    endpointId: spec.endpoint_id ?? '',
    projectId: spec.project_id ?? '',
    workDir: rsyslog.workDir,
    caFile: rsyslog.caFile,
  };
}

function directoryOf({
  resolved,
  settings,
}: {
  readonly resolved: Pick<ResolvedSpec, 'spec'>;
  readonly settings: Settings;
}): string {
  return resolve(settings.pgdata, serverSetting(resolved.spec, 'pgaudit.log_directory') ?? 'log');
}
