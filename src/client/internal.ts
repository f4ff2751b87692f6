import { Api, bodyOf, done } from './api.ts';
import type { CallOptions, ClientOptions } from './http.ts';
import type { InstallExtension, InstalledExtension, SchemaGrant } from './types.ts';

/** The internal server: for programs on the compute's machine. Every call rejects with `ComputeHttpError` when the answer
 *  is not a success. */
export class InternalClient {
  readonly #api: Api;

  constructor(options: ClientOptions) {
    this.#api = new Api(options, () => Promise.resolve(null));
  }

  /** Installs an extension, or updates it to a version. */
  installExtension(body: InstallExtension, call?: CallOptions): Promise<InstalledExtension> {
    return bodyOf(this.#api.http.POST('/extensions', { body, ...this.#api.call(call, { waits: true }) }));
  }

  /** Grants privileges on a schema. */
  grant(body: SchemaGrant, call?: CallOptions): Promise<SchemaGrant> {
    return bodyOf(this.#api.http.POST('/grants', { body, ...this.#api.call(call, { waits: true }) }));
  }

  /** Requests that the config is fetched again; does not wait for it. */
  async refreshConfiguration(call?: CallOptions): Promise<void> {
    await this.#api.http.POST('/refresh_configuration', { ...done, ...this.#api.call(call) });
  }

  /** Downloads a remote extension; resolves when its files are in place. */
  async downloadExtension(name: string, isLibrary = false, call?: CallOptions): Promise<void> {
    const params = { path: { filename: name }, query: { is_library: isLibrary ? 'true' : 'false' } } as const;
    const sent = this.#api.call(call, { waits: true });
    await this.#api.http.POST('/extension_server/{filename}', { params, ...done, ...sent });
  }
}
