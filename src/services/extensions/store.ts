import { raceAbort } from '../../core/clock.ts';
import { ComputeError, explained, inline } from '../../core/errors.ts';
import type { RemoteExtensions } from '../../spec/schema.ts';
import type { Installation } from './installation.ts';
import type { StoreDeps } from './store-deps.ts';

/** The extensions of this PostgreSQL that come from elsewhere. However many ask for one, it is downloaded once, and all hear the same
 *  result; after a failure the next one that asks begins anew. */
export class ExtensionStore {
  readonly #deps: StoreDeps;
  /** By extension: the bytes of its archive. */
  readonly #downloads = new Map<string, Promise<number>>();
  /** By extension: why its download fails, while it is tried again and after that. */
  readonly #troubles = new Map<string, string>();
  #installation: Promise<Installation> | null = null;

  constructor(deps: StoreDeps) {
    this.#deps = deps;
  }

  get canDownload(): boolean {
    return this.#deps.gateway !== null;
  }

  /** What could not be downloaded, and why; null: everything that was asked for. */
  get trouble(): string | null {
    return this.#troubles.size === 0 ? null : [...this.#troubles.values()].join('; ');
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
    const onTrouble = (error: unknown): unknown =>
      this.#troubles.set(extension, `could not download the extension ${extension}: ${inline(error)}`);
    const download = this.#open().then((installation) =>
      installation.fetch(gateway, extension, { onTrouble, signal: ending }),
    );
    this.#downloads.set(extension, download);
    download.then(
      () => this.#troubles.delete(extension),
      (error: unknown) => {
        this.#downloads.delete(extension);
        if (ending.aborted) return;
        onTrouble(error);
        log.error(`could not download the extension ${extension}: ${explained(error)}`);
      },
    );
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
