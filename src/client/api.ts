import createClient, { type Client } from 'openapi-fetch';
import { type CallOptions, type ClientOptions, type How, type Send, sender } from './http.ts';
import type { paths } from './types.ts';

/** One of the HTTP servers, with the paths, parameters and answers of its OpenAPI document. */
export class Api {
  readonly http: Client<paths>;
  readonly #options: ClientOptions;
  readonly #authorization: () => Promise<string | null>;

  constructor(options: ClientOptions, authorization: () => Promise<string | null>) {
    this.#options = options;
    this.#authorization = authorization;
    this.http = createClient<paths>({ baseUrl: options.url.replace(/\/+$/, '') });
  }

  /** The options for one call: its headers, its time limit, its retries. */
  call(call?: CallOptions, how?: How): { readonly fetch: Send } {
    return { fetch: sender(this.#options, this.#authorization, call, how) };
  }
}

/** The body of a successful answer; other answers were thrown before. */
export async function bodyOf<T>(answer: Promise<{ readonly data?: T }>): Promise<Exclude<T, undefined>> {
  return (await answer).data as Exclude<T, undefined>;
}

/** For an answer whose body is not used. */
export const done = { parseAs: 'text' } as const;
