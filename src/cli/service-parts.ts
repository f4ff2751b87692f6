import type { RunOptions } from '../config/options.ts';
import { failpoints } from '../core/failpoints.ts';
import type { Log } from '../core/log.ts';
import type { ComputeState } from '../lifecycle/state.ts';
import type { Metrics } from '../metrics/registry.ts';
import { ExtensionStore } from '../services/extensions/store.ts';
import { EndpointFileCache } from '../services/file-cache/file-cache.ts';
import { services as allServices } from '../services/index.ts';
import { Rsyslog } from '../services/rsyslog/rsyslog.ts';
import { ServiceRunner } from '../services/runner.ts';
import type { ServiceDeps } from '../services/service.ts';
import type { Settings } from '../services/settings.ts';
import { TlsReaders } from '../services/tls/readers.ts';

export interface Surroundings {
  readonly options: RunOptions;
  readonly settings: Settings;
  readonly metrics: Metrics;
  readonly log: Log;
}

export interface ServiceParts {
  readonly services: ServiceRunner;
  readonly extensions: ExtensionStore;
  readonly lfc: EndpointFileCache;
}

/** The services, and what of them is also asked by HTTP. */
export function serviceParts(
  { options, settings, metrics, log }: Surroundings,
  state: ComputeState,
  pgdata: ServiceDeps['pgdata'],
): ServiceParts {
  const common = { log, metrics, failpoints, stopAsked: state.stop.asked };
  const { target, env } = settings;
  const extensions = new ExtensionStore({ ...common, postgres: settings, gateway: options.remoteExtBaseUrl });
  const lfc = new EndpointFileCache({ ...common, target, env, spec: () => state.spec });
  const services = new ServiceRunner(allServices, {
    ...common,
    settings,
    extensions,
    lfc,
    rsyslog: new Rsyslog({ settings: settings.rsyslog, env, log }),
    crashing: state.databases.crashes,
    onExtensionStatistics: (found) => void (state.extensions = found),
    onExtensionsLoaded: (loaded) => void Object.assign(state.figures, loaded),
    pgdata,
    reloadPostgres: () => void state.postgres?.reload(),
    tlsReaders: new TlsReaders(log, settings.tls),
    onStorageReport: (report) => void (state.storage = report),
    stoppedBySignal: () => state.stop.mode === null,
  });
  return { services, extensions, lfc };
}
