import { raceAbort } from '../../core/clock.ts';
import { ComputeError, explained } from '../../core/errors.ts';
import type { Failpoints } from '../../core/failpoints.ts';
import type { Log } from '../../core/log.ts';
import type { OwnPostgres } from '../../database/settings.ts';
import type { Metrics } from '../../metrics/registry.ts';
import type { RemoteExtensions } from '../../spec/schema.ts';
import type { Installation } from './installation.ts';

export interface StoreDeps {
  readonly postgres: OwnPostgres;
  /** Base URL of the gateway, with a slash at its end; null: nothing is downloaded. */
  readonly gateway: string | null;
  /** With proxies: Postgres's own environment has none. */
  readonly env: NodeJS.ProcessEnv;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly failpoints: Failpoints;
  /** Aborts when the compute is asked to stop, or ends by itself. */
  readonly ending: AbortSignal;
}

/** The extensions of this PostgreSQL that come from elsewhere. However many ask for one, it is downloaded once, and all hear the same
 *  result; after a failure the next one that asks begins anew. */
export class ExtensionStore {
  readonly #deps: StoreDeps;
  /** By extension: the bytes of its archive. */
  readonly #downloads = new Map<string, Promise<number>>();
  #installation: Promise<Installation> | null = null;

  constructor(deps: StoreDeps) {
    this.#deps = deps;
  }

  get canDownload(): boolean {
    return this.#deps.gateway !== null;
  }

  /** Writes the control files of the extensions that may be downloaded. @throws ComputeError `download`, `spec_invalid` */
  async writeControlFiles(spec: RemoteExtensions, signal: AbortSignal): Promise<void> {
    const installation = await raceAbort(this.#open(), signal);
    installation.writeControlFiles(spec);
  }

  /** Resolves when the extension is installed. Whoever no longer waits does not end the download.
   *  @returns the bytes that were downloaded for it, 0 when an earlier call had installed it
   *  @throws ComputeError `download`, `archive_invalid`, `not_allowed` without a gateway */
  async bring(extension: string, signal: AbortSignal): Promise<number> {
    const { gateway, ending, log } = this.#deps;
    if (gateway === null) throw new ComputeError('not_allowed', 'remote storage is not configured');
    const known = this.#downloads.get(extension);
    if (known !== undefined)
      return raceAbort(
        known.then(() => 0),
        signal,
      );
    const download = this.#open().then((installation) => installation.fetch(gateway, extension, ending));
    this.#downloads.set(extension, download);
    download.catch((error: unknown) => {
      this.#downloads.delete(extension);
      if (ending.aborted) return;
      log.error(`could not download the extension ${extension}: ${explained(error)}`);
    });
    return raceAbort(download, signal);
  }

  /** Resolves when nothing is under way: what was begun is finished or removed. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#downloads.values());
  }

  #open(): Promise<Installation> {
    this.#installation ??= import('./installation.ts').then(({ Installation: Opened }) =>
      Opened.open(this.#deps, this.#deps.ending),
    );
    // The next one that asks looks again.
    this.#installation.catch(() => (this.#installation = null));
    return this.#installation;
  }
}
