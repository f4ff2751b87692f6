import { type CallOptions, type ClientOptions, Sender } from './http.ts';
import type { InstallExtension, InstalledExtension, SchemaGrant } from './types.ts';

/** The internal server: for programs beside the compute. Every call rejects with `ComputeHttpError` when the answer is
 *  no success. */
export class InternalClient {
  readonly #sender: Sender;

  constructor(options: ClientOptions) {
    this.#sender = new Sender(options, () => Promise.resolve({}));
  }

  /** Installs an extension, or brings it to a version. */
  installExtension(body: InstallExtension, call?: CallOptions): Promise<InstalledExtension> {
    return this.#sender.json({ method: 'POST', path: '/extensions', body, waits: true }, call);
  }

  /** Grants privileges on a schema. */
  grant(body: SchemaGrant, call?: CallOptions): Promise<SchemaGrant> {
    return this.#sender.json({ method: 'POST', path: '/grants', body, waits: true }, call);
  }

  /** Asks for the configuration to be fetched anew; does not wait for it. */
  refreshConfiguration(call?: CallOptions): Promise<void> {
    return this.#sender.nothing({ method: 'POST', path: '/refresh_configuration' }, call);
  }

  /** Downloads a remote extension; resolves when its files are in place. */
  downloadExtension(name: string, isLibrary = false, call?: CallOptions): Promise<void> {
    const path = `/extension_server/${encodeURIComponent(name)}`;
    return this.#sender.nothing(
      { method: 'POST', path, query: { is_library: String(isLibrary) }, waits: true },
      call,
    );
  }
}
