import { explained, inline } from '../../core/errors.ts';
import { preloadLibraries, splitList } from '../../postgres/preload-libraries.ts';
import type { ResolvedSpec } from '../../spec/resolve.ts';
import type { RemoteExtensions } from '../../spec/schema.ts';
import {
  type Health,
  type RunningService,
  type Service,
  type ServiceDeps,
  healthNow,
  nextHealth,
} from '../service.ts';
import { findRemoteExtension, preloadedName } from './find.ts';

interface Wanted {
  readonly spec: RemoteExtensions;
  /** Names of libraries, as the setting has them. */
  readonly preload: readonly string[];
}

/** Part of Postgres, whatever the index says. */
const ownLibraries = ['neon', 'databricks_auth'];
/** For everything that must be there before Postgres. */
const startMs = 300_000;

/** Makes the extensions of the spec known to Postgres, and downloads those whose library it loads when it starts. The others come when
 *  somebody asks for them. */
export const remoteExtensions: Service<Wanted> = {
  name: 'remote-extensions',
  when: 'with-base-backup',
  startLimitMs: startMs,
  wants: ({ spec }) =>
    spec.remote_extensions === null ? null : { spec: spec.remote_extensions, preload: librariesOf(spec) },
  async start(wanted, deps, signal) {
    const service = new RunningExtensions(deps);
    await service.apply(wanted, signal);
    return service;
  },
};

const librariesOf = (spec: ResolvedSpec['spec']): string[] =>
  splitList(preloadLibraries(spec)).map(preloadedName);

class RunningExtensions implements RunningService<Wanted> {
  readonly #deps: ServiceDeps;
  /** Why libraries are missing that Postgres should have loaded; a new spec does not change that. */
  #missing: string | null = null;
  /** Why the control files are not as the spec asks. */
  #unwritten: string | null = null;
  #shown: Health = healthNow('ok');

  constructor(deps: ServiceDeps) {
    this.#deps = deps;
  }

  /** A download that somebody asked for later counts, too. */
  get health(): Health {
    const failed = [this.#missing, this.#unwritten].filter((one) => one !== null);
    const { trouble } = this.#deps.extensions;
    const state = failed.length > 0 ? 'failed' : trouble === null ? 'ok' : 'degraded';
    return (this.#shown = nextHealth(this.#shown, state, failed.join('; ') || trouble));
  }

  /** A library that Postgres would load counts only at the next start. */
  async reconfigure({ spec }: Wanted, signal: AbortSignal): Promise<void> {
    try {
      await this.#deps.extensions.writeControlFiles(spec, signal);
      this.#unwritten = null;
    } catch (error) {
      this.#unwritten = explained(error);
      throw error;
    }
  }

  async apply({ spec, preload }: Wanted, signal: AbortSignal): Promise<void> {
    const { extensions, postgresRuns } = this.#deps;
    const startedMs = performance.now();
    await extensions.writeControlFiles(spec, signal);
    // A new spec does not wait for a library that only the next start loads.
    if (!extensions.canDownload || postgresRuns()) return;
    const libraries = preload.filter(
      (library) => !ownLibraries.includes(library) && Object.hasOwn(spec.library_index, library),
    );
    const wanted = new Set(libraries.map((library) => findRemoteExtension(spec, library, true)));
    const brought = await Promise.allSettled([...wanted].map((one) => extensions.bring(one, signal)));
    signal.throwIfAborted();
    this.#loaded(brought, performance.now() - startedMs);
  }

  #loaded(brought: readonly PromiseSettledResult<number>[], tookMs: number): void {
    const { log, onExtensionsLoaded } = this.#deps;
    const sizes = brought.filter((one) => one.status === 'fulfilled').map(({ value }) => value);
    const failed = brought.filter((one) => one.status === 'rejected').map(({ reason }) => reason as unknown);
    for (const error of failed)
      log.error(`a library that Postgres must load is missing: ${explained(error)}`);
    if (failed.length > 0) this.#missing = failed.map(inline).join('; ');
    onExtensionsLoaded({
      num_ext_downloaded: sizes.length,
      largest_ext_size: Math.max(0, ...sizes),
      total_ext_download_size: sizes.reduce((sum, size) => sum + size, 0),
      load_ext_ms: Math.round(tookMs),
    });
  }

  async stop(): Promise<void> {}
}
