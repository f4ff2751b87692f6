import type { RunOptions } from '../config/options.ts';
import { linked } from '../core/abort.ts';
import { raceAbort, within } from '../core/clock.ts';
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
  /** Of this process, with its proxies. */
  readonly env: NodeJS.ProcessEnv;
}

export interface ServiceParts {
  readonly services: ServiceRunner;
  readonly extensions: ExtensionStore;
  readonly lfc: EndpointFileCache;
  /** Ends what goes on in the background, and waits until it has cleaned up, 10 s at most. */
  readonly end: () => Promise<void>;
}

const endMs = 10_000;
/** With a start that takes longer, logs must not be lost for as long. */
const longestMs = 2000;

/** Once the compute is `running`, and some time after Postgres was spawned in any case. */
async function untilCalm({ spawned, lifecycle }: ComputeState, signal: AbortSignal): Promise<void> {
  await raceAbort(spawned.promise, signal);
  await within(lifecycle.reached(['running', 'failed'], signal), longestMs, signal);
}

/** The services, and what of them is also asked by HTTP. */
export function serviceParts(
  { options, settings, metrics, log, env }: Surroundings,
  state: ComputeState,
  pgdata: ServiceDeps['pgdata'],
): ServiceParts {
  const { asked, escalate } = state.stop;
  const background = linked(asked);
  const common = { log, metrics, failpoints };
  const outbound = { ...common, env, ending: background.signal };
  const gateway = options.remoteExtBaseUrl;
  const extensions = new ExtensionStore({ ...outbound, postgres: settings, gateway });
  const lfc = new EndpointFileCache({ ...outbound, target: settings.target, spec: () => state.spec });
  const services = new ServiceRunner(allServices, {
    ...common,
    stopAsked: asked,
    settings,
    extensions,
    lfc,
    rsyslog: new Rsyslog({ settings: settings.rsyslog, env: settings.env, log }),
    crashing: state.databases.crashes,
    onExtensionStatistics: (found) => void (state.extensions = found),
    onExtensionsLoaded: (loaded) => void Object.assign(state.figures, loaded),
    pgdata,
    reloadPostgres: () => void state.postgres?.reload(),
    untilCalm: (signal) => untilCalm(state, signal),
    postgresRuns: () => state.postgres?.running === true,
    tlsReaders: new TlsReaders(log, settings.tls),
    onStorageReport: (report) => void (state.storage = report),
    stoppedBySignal: () => state.stop.mode === null,
  });
  const end = async (): Promise<void> => {
    background.abort();
    await within(Promise.all([lfc.settled(), extensions.settled()]), endMs, escalate);
    background.release();
  };
  return { services, extensions, lfc, end };
}
