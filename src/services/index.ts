import type { ResolvedSpec } from '../spec/resolve.ts';
import { auditLog } from './audit-log.ts';
import { remoteExtensions } from './extensions/service.ts';
import { autoprewarm, lfcOffload } from './file-cache/service.ts';
import { installedExtensions } from './installed-extensions.ts';
import { logsExport } from './logs-export.ts';
import { localProxy } from './local-proxy/service.ts';
import { lsnLease } from './lsn-lease.ts';
import { diskQuota, memoryPrewarm, swap, vmInformant } from './machine.ts';
import { migrations } from './migrations.ts';
import { coreDumps, earlierPgdata } from './pgdata.ts';
import { pgbouncer } from './pgbouncer/service.ts';
import type { ConfLine, Service } from './service.ts';
import type { Settings } from './settings.ts';
import { storageReport } from './storage-report.ts';
import { tlsCertificate } from './tls/service.ts';
import { vmMonitor } from './vm-monitor.ts';

/** The list of all services. Services of one stage are stopped in the reverse order of this list. */
export const services: readonly Service<unknown>[] = [
  vmInformant,
  memoryPrewarm,
  swap,
  diskQuota,
  lsnLease,
  storageReport,
  coreDumps,
  pgbouncer,
  localProxy,
  remoteExtensions,
  logsExport,
  auditLog,
  autoprewarm,
  lfcOffload,
  tlsCertificate,
  vmMonitor,
  migrations,
  earlierPgdata,
  installedExtensions,
];

/** The lines of `postgresql.conf` from the services that are wanted. */
export function confLines(spec: ResolvedSpec, settings: Settings): ConfLine[] {
  return services.flatMap((service) => {
    const wanted = service.wants(spec, settings);
    return wanted === null ? [] : [...(service.conf?.(wanted) ?? [])];
  });
}
