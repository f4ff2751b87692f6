import createClient, { type Client } from 'openapi-fetch';
import { type CallOptions, type ClientOptions, type How, type Send, sender } from './http.ts';
import type { paths } from './types.ts';

/** One of the servers, with paths, parameters and answers as its OpenAPI document has them. */
export class Api {
  readonly http: Client<paths>;
  readonly #options: ClientOptions;
  readonly #authorization: () => Promise<string | null>;

  constructor(options: ClientOptions, authorization: () => Promise<string | null>) {
    this.#options = options;
    this.#authorization = authorization;
    this.http = createClient<paths>({ baseUrl: options.url.replace(/\/+$/, '') });
  }

  /** What makes a request one of a call: its headers, its limit, its retries. */
  call(call?: CallOptions, how?: How): { readonly fetch: Send } {
    return { fetch: sender(this.#options, this.#authorization, call, how) };
  }
}

/** The body of an answer, which is a good one: others were thrown. */
export async function bodyOf<T>(answer: Promise<{ readonly data?: T }>): Promise<Exclude<T, undefined>> {
  return (await answer).data as Exclude<T, undefined>;
}

/** Of an answer whose body says nothing. */
export const done = { parseAs: 'text' } as const;
