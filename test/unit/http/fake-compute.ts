import { Readable } from 'node:stream';
import type { ComputeApi, StatusBody } from '../../../src/lifecycle/api.ts';
import type { DatabaseApi } from '../../../src/database/api.ts';
import { noLfc } from '../../../src/services/file-cache.ts';
import { Lifecycle, wrongStatus } from '../../../src/core/lifecycle.ts';
import type { Status } from '../../../src/core/status.ts';

export interface FakeCompute extends ComputeApi {
  ready: boolean;
  database: ReturnType<typeof fakeDatabase>;
  lfc: ComputeApi['lfc'];
  refresh: ComputeApi['refresh'];
  promote: ComputeApi['promote'];
  downloadExtension: ComputeApi['downloadExtension'];
  onConfigure: (body: unknown, signal: AbortSignal) => Promise<StatusBody>;
  onTerminate: ComputeApi['terminate'];
}

const waysTo: Partial<Record<Status, readonly Status[]>> = {
  init: ['init'],
  running: ['init', 'running'],
  configuration_pending: ['configuration_pending'],
  configuration: ['configuration_pending', 'configuration'],
  failed: ['init', 'failed'],
  refresh_configuration_pending: ['init', 'running', 'refresh_configuration_pending'],
  refresh_configuration: ['init', 'running', 'refresh_configuration_pending', 'refresh_configuration'],
  termination_pending_fast: ['termination_pending_fast'],
  termination_pending_immediate: ['termination_pending_immediate'],
  terminated: ['termination_pending_fast', 'terminated'],
};

/** Answers as a server would that has nothing in it. */
export const fakeDatabase = (): { -readonly [K in keyof DatabaseApi]: DatabaseApi[K] } => ({
  insights: () => Promise.resolve('{"pg_stat_statements": []}'),
  dbsAndRoles: () => Promise.resolve({ roles: [], databases: [] }),
  schema: () => Promise.resolve(Readable.from(['-- nothing\n'])),
  grant: () => Promise.resolve(),
  installExtension: () => Promise.resolve(),
  mustAcceptConnections: () => Promise.resolve(),
  autoscalingMetrics: () =>
    Promise.resolve({ status: 200, contentType: 'application/text', body: Readable.from(['m 1\n']) }),
});

/** A compute that keeps the promises of ComputeApi without a Postgres. */
export function fakeCompute(at: Status): FakeCompute {
  const lifecycle = new Lifecycle();
  for (const status of waysTo[at] ?? []) lifecycle.tryMove(status);
  const status = (): StatusBody => ({
    start_time: '2025-08-08T12:00:00.123Z',
    tenant: null,
    timeline: null,
    status: lifecycle.status,
    last_active: null,
    error: lifecycle.error,
    services: {},
  });
  const compute: FakeCompute = {
    lifecycle,
    ready: at === 'running',
    status,
    figures: () => ({
      wait_for_spec_ms: 0,
      sync_sk_check_ms: 1,
      sync_safekeepers_ms: 2,
      pageserver_connect_micros: 3,
      basebackup_ms: 4,
      basebackup_bytes: 5,
      start_postgres_ms: 6,
      config_ms: 7,
      total_startup_ms: 8,
      load_ext_ms: 9,
      num_ext_downloaded: 10,
      largest_ext_size: 11,
      total_ext_download_size: 12,
    }),
    downtime: () => ({ current_downtime_ms: 0, total_downtime_ms: 0, incidents: [] }),
    checkWritability: () => Promise.resolve(true),
    database: fakeDatabase(),
    lfc: noLfc,
    refresh: () => {},
    promote: () => Promise.resolve({ status: 'failed', error: 'compute mode "primary" is not replica' }),
    downloadExtension: () => Promise.resolve(),
    onConfigure: () =>
      ['empty', 'running', 'failed'].includes(lifecycle.status)
        ? Promise.resolve(status())
        : Promise.reject(wrongStatus(lifecycle.status)),
    onTerminate: () => Promise.resolve({ lsn: '0/28F10D8', already: lifecycle.status === 'terminated' }),
    configure: (body, signal) => compute.onConfigure(body, signal),
    terminate: (mode, signal) => compute.onTerminate(mode, signal),
  };
  return compute;
}
